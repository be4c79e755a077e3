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
// An [Exporter] writes these files into a [Sink], a [Survey] reads them all and tells whether they are what was written.
package layout
