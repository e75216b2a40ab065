// Package config is the desired state: a strict reading of YAML into [Config], with every fault named at once, each with
// its place in the file and what would be right there.
package config
