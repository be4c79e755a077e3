package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What is fixed in every token. A token of another kind, even one signed with our key, lacks one of them.
const (
	issuer   = "transfer-runner"
	audience = "transfer-runner"
	typ      = "transfer+jwt"
	alg      = "HS256"
)

// claims are the body of a token. What it permits is in the store.
type claims struct {
	jwt.RegisteredClaims
}

// sign writes the text of a token.
func sign(key []byte, t Token) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{jwt.RegisteredClaims{
		ID: t.ID, Subject: t.Name, Issuer: issuer, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(t.Created), NotBefore: jwt.NewNumericDate(t.Created), ExpiresAt: jwt.NewNumericDate(t.Expires),
	}})
	token.Header["typ"] = typ
	text, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}

// verify returns the id of a token that was signed with key. The errors say nothing that helps to make a better forgery.
func verify(key []byte, text string, now time.Time) (id string, err error) {
	if len(text) > maxToken {
		return "", ErrInvalid
	}
	var c claims
	_, err = jwt.NewParser(
		jwt.WithValidMethods([]string{alg}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }),
	).ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		// Only what we write: no key of the sender's choosing, nothing critical that we do not understand.
		if len(t.Header) != 2 || t.Header["typ"] != typ || t.Header["alg"] != alg {
			return nil, ErrInvalid
		}
		return key, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && !otherwise(err) && c.ID != "":
		return c.ID, ErrExpired
	case err != nil || c.ID == "" || c.NotBefore == nil || c.IssuedAt == nil:
		return "", ErrInvalid
	}
	return c.ID, nil
}

// otherwise reports whether a token is wrong in another way than by its age.
func otherwise(err error) bool {
	for _, bad := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenUnverifiable, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenInvalidAudience,
		jwt.ErrTokenInvalidIssuer, jwt.ErrTokenRequiredClaimMissing, jwt.ErrTokenNotValidYet,
	} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}
