// Package layout knows the names and shapes of the files in an export, as archives and folders share them.
//
// # Layout
//
//	schemas/schemas_00001.jsonl              one record a line; further parts count on
//	entities/entities_00001.jsonl
//	assets/metadata/NAME.json                the row of an uploaded file, its sidecar
//	assets/uploads/NAME                      the file
//	links/links_00001.jsonl
//	configuration/configuration_00001.jsonl
//	transfer-manifest.jsonl                  ours: counts and digests of all the others; Strapi's importer ignores it
//	metadata.json                            last, so that a cut export does not look whole
//
// # Manifest
//
// The manifest is JSON lines, each ended by a line feed. The first names the form, then comes one line for each part and for each
// uploaded file as they were written, then the totals, and last the SHA-256 of all lines before it:
//
//	{"transferManifest":1}
//	{"part":"entities/entities_00001.jsonl","bytes":429,"records":5,"sha256":"…"}
//	{"asset":"u_1.txt","bytes":12,"sha256":"…","sidecar":"SHA-256 of the sidecar"}
//	{"stages":{"entities":{"records":5,"bytes":425,"byType":{"api::thing.thing":5}},…},"metadata":"SHA-256 of metadata.json"}
//	{"digest":"…"}
//
// It finds damage, not forgery: who can change an export can change its manifest. An export without one is accepted if it is
// otherwise whole.
//
// An [Exporter] writes these files into a [Sink], a [Survey] reads them all and tells whether they are what was written.
package layout
