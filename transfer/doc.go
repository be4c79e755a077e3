// Package transfer moves a site's content from a source to a destination, stage by stage, and accounts for every record.
//
// # Design
//
// Everything hangs on two interfaces, [Source] and [Destination]; a provider implements one or both for its own medium.
// [Run] is the engine between them: it compares schemas and versions, makes a [Plan], asks before anything is destroyed,
// pulls records out of the source one at a time, filters them, hands them over in batches and commits once. Sequences make
// the call stack the back-pressure: nothing is read before there is room for it.
//
// The package knows no wire and no file format. Records keep the JSON text that their source wrote, byte for byte: numbers
// are never parsed into floats, key order and escapes survive, and whoever must look inside does it on demand.
package transfer
