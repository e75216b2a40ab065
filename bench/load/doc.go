// Command load is behind `make load`: it drives the running demo at a constant rate, with real rows from many users, and prints
// what the clients saw (vegeta's report) beside what mlproxy says of the same seconds: realised shares, and its own overhead.
package main
