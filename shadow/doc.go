// Package shadow gives shadow pools copies of live requests, compares their answers with the live ones, and drops them.
//
// The live exchange pays for one copy of its bytes and nothing else: it never waits for a shadow, shares no connection
// and no counter with one, and a copy there is no room for is dropped and counted.
package shadow
