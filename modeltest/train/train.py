#!/usr/bin/python3
"""Train the small models that modeltest serves, on the data sets that come with scikit-learn.

    apt-get install python3-sklearn        # Debian's 1.2.1 made the committed files
    /usr/bin/python3 modeltest/train/train.py

Writes, relative to this file:

    ../models/<model>.<version>.json   weights, embedded into the Go package
    ../models/<model>.rows.json        held-out rows and their true classes: real requests for the demo and the load
    ../testdata/<model>.<version>.json scikit-learn's own answers to those rows, which Go's inference must equal

Every seed is fixed, so the same scikit-learn writes the same bytes.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
TESTDATA = HERE.parent / "testdata"
SEED = 20


def softmax_layers(model):
    """A softmax regression is a network without hidden layer."""
    return [{"weights": model.coef_.tolist(), "bias": model.intercept_.tolist()}]


def mlp_layers(model):
    """One entry a layer, weights as [outputs][inputs]; ReLU between layers, softmax after the last."""
    return [{"weights": w.T.tolist(), "bias": b.tolist()} for w, b in zip(model.coefs_, model.intercepts_)]


def quantised(layers, bits):
    """The same layers with every weight on one of 2^bits steps, as a build for small machines would have them."""
    out = []
    for layer in layers:
        step = max(abs(v) for row in layer["weights"] for v in row) / (2 ** (bits - 1) - 1)
        snap = lambda v: round(v / step) * step
        out.append({"weights": [[snap(v) for v in row] for row in layer["weights"]], "bias": [snap(v) for v in layer["bias"]]})
    return out


def trees(model):
    """Nodes in scikit-learn's order: a leaf has probabilities, an inner node goes left when row[feature] <= threshold."""
    out = []
    for estimator in model.estimators_:
        t = estimator.tree_
        nodes = []
        for i in range(t.node_count):
            if t.children_left[i] == -1:
                counts = t.value[i][0]
                nodes.append({"leaf": (counts / counts.sum()).tolist()})
                continue
            nodes.append({
                "feature": int(t.feature[i]), "threshold": float(t.threshold[i]),
                "left": int(t.children_left[i]), "right": int(t.children_right[i]),
            })
        out.append(nodes)
    return out


def write(path, document):
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(f"{path.relative_to(HERE.parent)}: {path.stat().st_size} bytes")


def write_model(data, version, kind, train, body):
    write(MODELS / f"{data['name']}.{version}.json", {
        "name": data["name"], "version": version.split("-")[0], "kind": kind, "trained_by": f"scikit-learn {sklearn.__version__}",
        "features": data["features"], "classes": data["classes"], "mean": np.round(train.mean(axis=0), 6).tolist(), **body,
    })


def write_answers(data, version, model, rows):
    write(TESTDATA / f"{data['name']}.{version}.json", {
        "classes": model.predict(rows).tolist(),
        "probabilities": np.round(model.predict_proba(rows), 10).tolist(),
    })


def report(name, model, rows, labels):
    print(f"{name}: {model.score(rows, labels):.3f} of {len(rows)} held-out rows right")


def iris():
    bunch = load_iris()
    data = {"name": "iris", "features": [f.replace(" (cm)", "").replace(" ", "_") for f in bunch.feature_names],
            "classes": bunch.target_names.tolist()}
    x, rows, y, labels = train_test_split(bunch.data, bunch.target, test_size=60, random_state=SEED, stratify=bunch.target)
    write(MODELS / "iris.rows.json", {"rows": rows.tolist(), "labels": labels.tolist()})

    v1 = LogisticRegression(C=0.3, max_iter=1000).fit(x, y)
    write_model(data, "1", "network", x, {"layers": softmax_layers(v1)})
    write_answers(data, "1", v1, rows)
    report("iris 1", v1, rows, labels)

    # iris-next of the demo: version 1 in a build with 4-bit weights. It should answer as version 1 does, and nearly does.
    small = quantised(softmax_layers(v1), 4)
    write_model(data, "1-int4", "network", x, {"layers": small})
    next_ = LogisticRegression()
    next_.classes_, next_.coef_, next_.intercept_ = v1.classes_, np.array(small[0]["weights"]), np.array(small[0]["bias"])
    next_.multi_class = "multinomial"
    write_answers(data, "1-int4", next_, rows)
    report("iris 1-int4", next_, rows, labels)
    print("iris 1-int4 agrees with 1 on", (next_.predict(rows) == v1.predict(rows)).mean())

    v2 = RandomForestClassifier(n_estimators=10, max_depth=3, random_state=SEED).fit(x, y)
    write_model(data, "2", "forest", x, {"trees": trees(v2)})
    write_answers(data, "2", v2, rows)
    report("iris 2", v2, rows, labels)


def digits():
    bunch = load_digits()
    data = {"name": "digits", "features": [f.replace("pixel_", "p") for f in bunch.feature_names],
            "classes": [str(c) for c in bunch.target_names]}
    x, rows, y, labels = train_test_split(bunch.data, bunch.target, test_size=200, random_state=SEED, stratify=bunch.target)
    write(MODELS / "digits.rows.json", {"rows": rows.astype(int).tolist(), "labels": labels.tolist()})

    v1 = LogisticRegression(C=0.001, max_iter=2000).fit(x, y)
    write_model(data, "1", "network", x, {"layers": softmax_layers(v1)})
    write_answers(data, "1", v1, rows)
    report("digits 1", v1, rows, labels)

    v2 = MLPClassifier(hidden_layer_sizes=(32,), max_iter=400, random_state=SEED).fit(x, y)
    write_model(data, "2", "network", x, {"layers": mlp_layers(v2)})
    write_answers(data, "2", v2, rows)
    report("digits 2", v2, rows, labels)


if __name__ == "__main__":
    MODELS.mkdir(exist_ok=True)
    TESTDATA.mkdir(exist_ok=True)
    iris()
    digits()
