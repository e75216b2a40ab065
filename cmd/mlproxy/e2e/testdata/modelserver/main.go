// Modelserver is a model server in a process of its own, and so without the race detector: for tests that send very many
// requests. It says its URL and serves until its standard input ends; /modeltest/stats says what it saw. An argument is the
// address to listen on.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"mlproxy/modeltest"
)

func main() {
	var o modeltest.Options
	if len(os.Args) > 1 {
		o.Addr = os.Args[1]
	}
	s, err := modeltest.Start(o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = s.Close()
}
