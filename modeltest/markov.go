package modeltest

import (
	_ "embed"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed models/words.txt
var corpus string

// chain is a language model of the smallest kind: which words followed each pair of words in its text. Equal seeds and
// beginnings give equal texts.
type chain struct {
	next   map[[2]string][]string // by the two words before; the first may be ""
	starts []string
}

// words and punctuation are the tokens.
var token = regexp.MustCompile(`[\p{L}\p{N}'-]+|[^\s\p{L}\p{N}]`)

// speaker is the chain of the embedded text, made when first needed.
var speaker = sync.OnceValue(func() *chain { return learn(corpus) })

func learn(text string) *chain {
	c := &chain{next: map[[2]string][]string{}}
	before, last := "", "."
	for _, word := range token.FindAllString(text, -1) {
		if last == "." {
			c.starts, before = append(c.starts, word), ""
		} else {
			c.follow("", last, word)
			c.follow(before, last, word)
			before = last
		}
		last = word
	}
	return c
}

func (c *chain) follow(before, last, word string) {
	key := [2]string{before, last}
	if before != "" || last != "" {
		c.next[key] = append(c.next[key], word)
	}
}

// speak continues a prompt for at most limit tokens, or to the end of a sentence once a few sentences' worth is said.
// Every token but the first and punctuation brings its space with it, so that the answer is their concatenation.
func (c *chain) speak(prompt string, seed uint64, limit int) (tokens []string, finish string) {
	const enough = 24
	dice := rand.New(rand.NewPCG(seed, 1))
	before, last := "", c.opening(prompt, dice)
	for len(tokens) < limit {
		tokens = append(tokens, spaced(last, len(tokens) == 0))
		if last == "." && len(tokens) >= enough {
			return tokens, "stop"
		}
		before, last = c.step(before, last, dice)
	}
	return tokens, "length"
}

// opening takes up the prompt's last word that the text knows, if there is one.
func (c *chain) opening(prompt string, dice *rand.Rand) string {
	for _, word := range slices.Backward(token.FindAllString(prompt, -1)) {
		if followers := c.next[[2]string{"", word}]; len(followers) > 0 {
			return pick(followers, dice)
		}
	}
	return pick(c.starts, dice)
}

func (c *chain) step(before, last string, dice *rand.Rand) (string, string) {
	if last == "." {
		return "", pick(c.starts, dice)
	}
	followers := c.next[[2]string{before, last}]
	if len(followers) == 0 {
		followers = c.next[[2]string{"", last}]
	}
	return last, pick(followers, dice)
}

func pick(words []string, dice *rand.Rand) string { return words[dice.IntN(len(words))] }

func spaced(word string, first bool) string {
	if first || strings.ContainsAny(word, ".,") {
		return word
	}
	return " " + word
}

// seedOf turns a prompt into a seed: the same question gets the same answer.
func seedOf(prompt string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(prompt))
	return h.Sum64()
}
