package archive

// Quick makes a passphrase cheap to use. It is for tests.
func Quick(o Options) Options {
	const work = 10
	o.passphraseWork = work
	return o
}
