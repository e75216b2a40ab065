// Modelserver is a model server in a process of its own, and so without the race detector: for tests that send very many
// requests. It says its URL and serves until its standard input ends; /modeltest/stats says what it saw.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"mlproxy/modeltest"
)

func main() {
	s, err := modeltest.Start(modeltest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = s.Close()
}
