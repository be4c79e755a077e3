package archive

// Quick makes keys cheap to use, for tests that open many archives.
func Quick(o Options) Options {
	const work = 10
	o.passphraseWork = work
	if block, err := stockCipher(o.Key); err == nil {
		o.stock = block
	}
	return o
}
