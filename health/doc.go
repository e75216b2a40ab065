// Package health answers one question: is this endpoint fit to serve?
//
// Two witnesses are heard. Probes ask the endpoint from outside, every few seconds ([Prober], [Check]); the breaker watches what becomes
// of real exchanges ([Breaker], [State.Do]). What both say is kept in one number per endpoint and role, so that picking an endpoint
// costs one atomic load ([State.Fit]). docs/health.md tells the operator's side of it.
package health
