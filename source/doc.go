// Package source is where the desired state comes from. A source watches one place, and hands on what stands there whenever its content
// has changed; whether that can be applied is for control to say. [File] is the config file. [Consul] is a Consul agent: its keys, the
// instances in its catalogue, and what the fleet of proxies knows about itself.
package source
