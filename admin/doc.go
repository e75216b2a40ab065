// Package admin lets people and programs see what mlproxy does and steer it: an HTTP listener of its own, apart from the
// traffic, and the client that the command line uses. Every change goes through control's loop.
package admin
