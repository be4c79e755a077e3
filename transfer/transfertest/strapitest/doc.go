// Package strapitest runs real Strapi servers for conformance tests.
//
// The application under testdata/app has every attribute type, every relation kind, nested components, dynamic zones, two
// locales, drafts beside published versions and media with formats. npm installs it once into a cache (TRANSFER_STRAPI_CACHE,
// else a folder in the user's cache folder), where it is seeded once; every [Instance] is then a copy with a database, an
// upload folder and a port of its own.
//
//	source := strapitest.New(t, strapitest.Options{Seed: true})
//	source.Start(t)
//	token := source.Token(t, strapitest.Forever, "pull")
//	… transfer from source.URL() …
//	require.Empty(t, strapitest.Diff(source.Graph(t), destination.Graph(t)))
//
// Content is compared as a [Graph] that knows no row ids. Nothing runs unless TRANSFER_CONFORMANCE is set; a missing Node is
// then a failure where CI is set, and a skipped test elsewhere.
package strapitest
