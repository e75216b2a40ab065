// Package protocol reads what model servers and their clients put into bodies: JSON as they really write it, with NaN and
// Infinity in it, and never trusted. It changes no body and keeps none.
package protocol
