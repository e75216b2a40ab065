package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"mlproxy/config"
)

// maxBody bounds the body of a change, in bytes.
const maxBody = 1 << 20

// readSplit reads a body such as {"iris-stable": 90, "iris-canary": 10}.
func readSplit(r *http.Request) (config.Weights, error) {
	const right = `pool names with their weights, such as {"iris-stable": 90, "iris-canary": 10}`
	members, err := readObject(r, right)
	if err != nil {
		return nil, err
	}
	split := make(config.Weights, len(members))
	for pool, v := range members {
		n, ok := v.(json.Number)
		if !ok {
			return nil, badRequest("the weight of %q is not a number; %s", pool, right)
		}
		if split[pool], err = n.Float64(); err != nil {
			return nil, badRequest("the weight of %q is out of range; %s", pool, right)
		}
	}
	return split, nil
}

// readActive reads a body such as {"active": "green"}.
func readActive(r *http.Request) (string, error) {
	const right = `{"active": "blue"} or {"active": "green"}`
	members, err := readObject(r, right)
	if err != nil {
		return "", err
	}
	active, ok := members["active"].(string)
	if !ok || len(members) != 1 {
		return "", badRequest("the body is not of the right form; %s", right)
	}
	return active, nil
}

// readObject reads a flat JSON object strictly: no member twice, nothing nested, nothing behind it.
func readObject(r *http.Request, right string) (map[string]any, error) {
	src, err := readBody(r, right)
	if err != nil {
		return nil, err
	}
	members, err := object(src)
	if err != nil {
		return nil, badRequest("the body is not of the right form: %v; %s", err, right)
	}
	return members, nil
}

// readBody reads the whole body; right is what it should be.
func readBody(r *http.Request, right string) ([]byte, error) {
	src, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &Problem{
			Status: http.StatusRequestEntityTooLarge, Reason: "body_too_large",
			Detail: fmt.Sprintf("the body exceeds %d bytes; %s", maxBody, right),
		}
	}
	if err != nil {
		return nil, badRequest("the body did not arrive: %v; send it again", err)
	}
	return src, nil
}

// object is the members of a flat JSON object; values are json.Number, string, bool or nil.
func object(src []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, orElse(err, "no JSON object")
	}
	members := map[string]any{}
	for d.More() {
		name, value, err := member(d)
		if err != nil {
			return nil, err
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("%q stands there twice", name)
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, orElse(err, "")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return members, nil
}

func member(d *json.Decoder) (name string, value any, err error) {
	key, err := d.Token()
	if err != nil {
		return "", nil, orElse(err, "")
	}
	name = key.(string) // the decoder lets nothing else stand before a colon
	if value, err = d.Token(); err != nil {
		return "", nil, orElse(err, "")
	}
	if slices.Contains([]any{json.Delim('{'), json.Delim('[')}, value) {
		return "", nil, fmt.Errorf("%q holds an object or a list", name)
	}
	return name, value, nil
}

// orElse is err in words fit for people, or otherwise.
func orElse(err error, otherwise string) error {
	switch {
	case err == nil:
		return errors.New(otherwise)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	}
	return err
}
