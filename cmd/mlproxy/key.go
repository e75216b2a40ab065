package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
)

type keyCmd struct {
	New newKeyCmd `cmd:"" help:"Make a key, and the line for the file that api_keys names."`
}

type newKeyCmd struct {
	Name string `arg:"" help:"Whose key it is: a-z, 0-9, '.', '_' and '-'."`
	output
}

// madeKey is the result of key new.
type madeKey struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
}

// keyPrefix lets people and scanners of leaked secrets see what a key is for.
const keyPrefix = "mlp_"

var isKeyName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Run prints the entry to store as the result, so that it can be appended to the file, and the key itself beside it, once.
func (c *newKeyCmd) Run(t *terminal) error {
	if !isKeyName.MatchString(c.Name) {
		return usage(fmt.Errorf("%q is not a name; use at most 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit", c.Name))
	}
	made := newKey(c.Name)
	return c.print(t, made, func() {
		fmt.Fprintf(t.Err, "the key, for the client alone; it is kept nowhere and cannot be shown again:\n  %s\n", made.Key)
		fmt.Fprintf(t.Out, "%s: {sha256: \"%s\"}\n", made.Name, made.SHA256)
	})
}

// newKey makes a key of 256 random bits.
func newKey(name string) madeKey {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: the process ends instead
	key := keyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(key))
	return madeKey{name, key, hex.EncodeToString(hash[:])}
}
