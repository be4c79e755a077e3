package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// keyFlags are the flags for encrypted archives.
type keyFlags struct {
	Key        string
	KeyFile    string
	Recipients []string
	Identities []string
}

func (k *keyFlags) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&k.Key, "key", "k", "", "password of an .enc or .age archive; - reads a line of standard input")
	f.StringVar(&k.KeyFile, "key-file", "", "file that holds the password")
	f.StringArrayVar(&k.Recipients, "recipient", nil, "age public key to encrypt an .age archive for (repeatable)")
	f.StringArrayVar(&k.Identities, "identity", nil, "age identity file to decrypt an .age archive with (repeatable)")
}

// maxIdentity bounds an identity file.
const maxIdentity = 1 << 20

// apply finds the key of the encrypted ones among ends, by asking if need be, and puts it into their access.
func (k *keyFlags) apply(ctx context.Context, a *app, ends ...*end) error {
	var identities []string
	for _, path := range k.Identities {
		text, err := readLimited(path, maxIdentity)
		if err != nil {
			return fmt.Errorf("%w: read --identity: %w", transfer.ErrUsage, err)
		}
		identities = append(identities, string(text))
	}
	key, err := a.secret(secretSource{
		what: "key of the archive", flag: k.Key, file: k.KeyFile, env: []string{"TRANSFER_KEY"}, named: "--key or --key-file",
	})
	if err != nil {
		return err
	}
	for _, e := range ends {
		if !e.Encrypted() {
			continue
		}
		e.access.Recipients, e.access.Identities = k.Recipients, identities
		if hasAge(e.Endpoint) && (e.reads && len(identities) > 0 || !e.reads && len(k.Recipients) > 0) {
			continue
		}
		if key == "" {
			if key, err = a.askSecret(ctx, "key of "+e.String(), keyHint(e)); err != nil {
				return err
			}
		}
		e.access.Key = key
	}
	return nil
}

func keyHint(e *end) string {
	hint := "give --key or --key-file, or set TRANSFER_KEY"
	switch {
	case hasAge(e.Endpoint) && e.reads:
		return hint + ", or give --identity FILE"
	case hasAge(e.Endpoint):
		return hint + ", or give --recipient age1…"
	}
	return hint
}

// hasAge reports whether the archive is of the authenticated form, which knows key pairs.
func hasAge(e providers.Endpoint) bool { return strings.HasSuffix(strings.ToLower(e.Location), ".age") }

// end is one side of a transfer, ready to be opened.
type end struct {
	providers.Endpoint

	access providers.Access
	remote remote // that the endpoint is the name of
	reads  bool   // it is the source
}
