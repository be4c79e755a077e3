package archive

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"filippo.io/age"

	"github.com/transfer-runner/runner/transfer"
)

// ageRecipients returns whom an .age archive is written for.
func (o Options) ageRecipients() ([]age.Recipient, error) {
	if len(o.Recipients) == 0 {
		if o.Key == "" {
			return nil, fmt.Errorf("%w: an .age archive needs a passphrase (--key) or recipients", transfer.ErrUsage)
		}
		r, err := age.NewScryptRecipient(o.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: the passphrase (--key) cannot be used", transfer.ErrUsage)
		}
		if o.passphraseWork > 0 {
			r.SetWorkFactor(o.passphraseWork)
		}
		return []age.Recipient{r}, nil
	}
	if o.Key != "" {
		return nil, fmt.Errorf("%w: an .age archive is written for a passphrase (--key) or for recipients, not for both", transfer.ErrUsage)
	}
	recipients, err := age.ParseRecipients(strings.NewReader(strings.Join(o.Recipients, "\n")))
	if err != nil {
		return nil, fmt.Errorf("%w: read recipients: %w", transfer.ErrUsage, err)
	}
	return recipients, nil
}

// ageIdentities returns what may open an .age archive.
func (o Options) ageIdentities() ([]age.Identity, error) {
	var identities []age.Identity
	if len(o.Identities) > 0 {
		var err error
		identities, err = age.ParseIdentities(strings.NewReader(strings.Join(o.Identities, "\n")))
		if err != nil {
			// The parser's text may show a part of what it could not read.
			return nil, fmt.Errorf("%w: an identity cannot be read", transfer.ErrUsage)
		}
	}
	if o.Key != "" {
		id, err := age.NewScryptIdentity(o.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: the passphrase (--key) cannot be used", transfer.ErrUsage)
		}
		identities = append(identities, id)
	}
	if len(identities) == 0 {
		return nil, fmt.Errorf("%w: an .age archive needs its passphrase (--key) or an identity", transfer.ErrUsage)
	}
	return []age.Identity{&rememberingIdentity{identities: identities}}, nil
}

// rememberingIdentity keeps the file key that it found, because a passphrase costs a second and an archive is read several
// times. It is for one file.
type rememberingIdentity struct {
	identities []age.Identity
	found      []byte
}

// Unwrap implements [age.Identity].
func (r *rememberingIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if r.found != nil {
		return r.found, nil
	}
	var refusals []error
	for _, id := range r.identities {
		key, err := id.Unwrap(stanzas)
		debug.FreeOSMemory() // a passphrase takes a quarter of a gibibyte for a moment
		if err == nil {
			r.found = key
			return key, nil
		}
		if !errors.Is(err, age.ErrIncorrectIdentity) {
			return nil, err
		}
		refusals = append(refusals, err)
	}
	return nil, errors.Join(refusals...)
}

// ageReader decrypts r. Every piece is authenticated before it is handed on.
func ageReader(r io.Reader, identities []age.Identity) (io.Reader, error) {
	plain, err := age.Decrypt(r, identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, fmt.Errorf("%w: %w: none of the keys opens the archive", transfer.ErrAuth, ErrWrongKey)
	}
	return plain, err
}
