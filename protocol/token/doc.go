// Package token makes the transfer tokens of our own servers and tells good ones from bad.
//
// A token is a JWT of one fixed form, signed with a key that never leaves the data folder. The signature proves that it is ours; what
// it permits is read from the [Store], each time anew, so that a token that was revoked or cut down stops working at once.
package token
