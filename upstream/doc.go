// Package upstream is the door to model servers: connections of its own, HTTP/1.1 heads as raw bytes, and the framing of bodies.
package upstream
