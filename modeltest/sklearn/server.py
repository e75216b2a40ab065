"""A real model server: scikit-learn's own models and data sets behind FastAPI, in the shapes of the Open Inference Protocol and of MLflow.

It needs Debian's python3-sklearn, python3-fastapi and python3-uvicorn, and is for tests: it prints its URL on standard output, and ends
when standard input does. Besides predictions it gives the arrays it was made of, and the figures that follow from them, computed
by numpy and nothing else: what a proxy in front of it has to find in the traffic.

    POST /v2/models/{name}/infer       one input of shape [rows, features], or [rows, 8, 8, 1] of UINT8 for digits
    POST /invocations                  breast_cancer, as MLflow's dataframe_split
    GET  /data/{name}                  {"rows": [[...]], "names": [...], "missing": [...]}; a missing value is null
    GET  /expected/{name}              {"classes": {...}, "confidence": mean, "missing_rows": n, "missing_values": n, "brightness": [...]}
"""

import asyncio
import math
import socket
import sys
import threading

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Model:
    """A classifier and the rows it is asked about: a whole data set, in which every 7th row of breast cancer lacks a value."""

    def __init__(self, data, classifier, holes=False, images=False):
        self.names = [str(n) for n in data.feature_names]
        self.labels = [str(n) for n in data.target_names]
        self.rows = data.data.astype(float)
        if images:  # 0..16 becomes 0..255
            self.rows = np.round(self.rows * 255 / 16)
        self.pipeline = classifier.fit(self.rows, data.target)
        self.images = images
        if holes:
            for row in range(0, len(self.rows), 7):
                self.rows[row, row % self.rows.shape[1]] = math.nan

    def predict(self, rows):
        rows = np.asarray(rows, dtype=float).reshape(-1, self.rows.shape[1])
        probabilities = self.pipeline.predict_proba(rows)
        return [self.labels[i] for i in probabilities.argmax(axis=1)], probabilities

    def expected(self):
        labels, probabilities = self.predict(self.rows)
        holes = np.isnan(self.rows)
        return {
            "classes": {label: labels.count(label) for label in set(labels)},
            "confidence": float(probabilities.max(axis=1).mean()),
            "missing_rows": int(holes.any(axis=1).sum()),
            "missing_values": int(holes.sum()),
            "brightness": self.rows.mean(axis=1).tolist() if self.images else [],
        }


def models():
    forest = RandomForestClassifier(n_estimators=20, random_state=0)
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000))
    return {
        "iris": Model(datasets.load_iris(), forest),
        "breast_cancer": Model(datasets.load_breast_cancer(), scaled, holes=True),
        "digits": Model(datasets.load_digits(), LogisticRegression(max_iter=100), images=True),
    }


MODELS = models()
app = FastAPI()


@app.get("/data/{name}")
def data(name: str):
    model = MODELS[name]
    rows = [[None if math.isnan(v) else v for v in row] for row in model.rows.tolist()]
    return {"rows": rows, "names": model.names}


@app.get("/expected/{name}")
def expected(name: str):
    return MODELS[name].expected()


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request):
    body = await request.json()
    asked = body["inputs"][0]
    rows = np.array([math.nan if v is None else v for v in asked["data"]], dtype=float)
    labels, probabilities = MODELS[name].predict(rows.reshape(asked["shape"][0], -1))
    return {
        "model_name": name,
        "id": body.get("id"),
        "outputs": [
            {"name": "label", "shape": [len(labels)], "datatype": "BYTES", "data": labels},
            {"name": "probabilities", "shape": list(probabilities.shape), "datatype": "FP64", "data": probabilities.ravel().tolist()},
        ],
    }


@app.post("/invocations")
async def invocations(request: Request):
    asked = (await request.json())["dataframe_split"]
    rows = [[math.nan if v is None else v for v in row] for row in asked["data"]]
    return {"predictions": MODELS["breast_cancer"].predict(rows)[0]}


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    def end_with_stdin():
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_stdin, daemon=True).start()
    listener.listen(128)  # before it is told of: whoever hears of it connects at once
    print("http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
