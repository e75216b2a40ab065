// Package source is where the desired state comes from. A source watches one place and emits an [Update] whenever what
// stands there has changed; whether the update can be applied is for control to say.
package source
