package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadWithReceiptKeys loads a config whose receipts have keys in a file of this content.
func loadWithReceiptKeys(t *testing.T, keys string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yaml": "version: 1\nfeedback: {key_file: receipts}\n", "receipts": keys} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(filepath.Join(dir, "config.yaml"))
}

func TestReceiptKeysAreReadFromTheirFile(t *testing.T) {
	c, err := loadWithReceiptKeys(t, "# since March\n  0123456789abcdef \n\nfedcba9876543210\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"0123456789abcdef", "fedcba9876543210"}; !slices.Equal(c.Feedback.Keys, want) {
		t.Errorf("the keys are %q, want %q", c.Feedback.Keys, want)
	}
	if files := c.Files(); len(files) != 1 || filepath.Base(files[0]) != "receipts" {
		t.Errorf("the config is read from %v as well", files)
	}
	other, err := loadWithReceiptKeys(t, "another key, long enough")
	if err != nil {
		t.Fatal(err)
	}
	c.Feedback.KeyFile, c.StateDir = other.Feedback.KeyFile, other.StateDir
	if diff := cmp.Diff([]Change{{"feedback.keys.key", "redacted", "redacted"}}, Diff(c, other)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if shown := string(Render(c)); strings.Contains(shown, "0123456789abcdef") {
		t.Error("the rendered config shows a key:\n" + shown)
	}
}

func TestRefusedReceiptKeys(t *testing.T) {
	f := func(keys, want string) {
		t.Helper()
		_, err := loadWithReceiptKeys(t, keys)
		if err == nil || !strings.Contains(err.Error(), "config.yaml:2:22: feedback.key_file: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want %q", keys, err, want)
		}
	}
	f("", "has no key; name a file with a random key")
	f("# nothing\n", "has no key")
	f("secret\n", "has a key of 6 characters; 16 at least")
}
