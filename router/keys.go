package router

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"mlproxy/config"
)

// Keys are the API keys of a route's clients. What is compared is the SHA-256 of what a client sends, as a key of a map: how long that
// takes may tell something of hashes, which nobody can choose, and nothing of keys.
type Keys struct {
	// Header is the field that has the key, in lower case.
	Header string

	byHash map[[sha256.Size]byte]*Key
}

// Key is the key of one client.
type Key struct {
	Name string
	// Allowed says whether it is good for the route.
	Allowed bool

	bucket *bucket // of the route's limit, if that is by key
}

// newKeys is nil for a route that everybody may use.
func newKeys(route string, cfg *config.APIKeys, bucketOf func(name string) *bucket) *Keys {
	if cfg == nil {
		return nil
	}
	k := &Keys{Header: cfg.Header, byHash: map[[sha256.Size]byte]*Key{}}
	for name, entry := range cfg.Keys {
		key := &Key{
			Name:    name,
			Allowed: len(entry.Routes) == 0 || slices.Contains(entry.Routes, route),
			bucket:  bucketOf(name),
		}
		for _, sum := range entry.SHA256 {
			var hash [sha256.Size]byte
			if n, err := hex.Decode(hash[:], []byte(sum)); err == nil && n == len(hash) {
				k.byHash[hash] = key
			}
		}
	}
	return k
}

// Find is the key that a client has sent; nil when nobody has it.
func (k *Keys) Find(sent []byte) *Key { return k.byHash[sha256.Sum256(sent)] }
