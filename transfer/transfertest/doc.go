// Package transfertest holds what the tests of all providers share: a small site, an endpoint in memory, the conformance suites for
// sources and destinations, and faults.
//
// The endpoint in memory passes the suites itself, which makes it the stand-in wherever a test needs some other endpoint.
package transfertest
