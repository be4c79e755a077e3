package token

import (
	"crypto/hmac"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
)

// HashAccessKey is what Strapi keeps of the access key of a transfer token: its HMAC-SHA512 in lower-case hex. The key of that is the
// text of the project's salt as it is, whatever it looks like. "" means that there is no such token: without a salt none can be told, and
// no access key is empty or longer than any that is in use.
func HashAccessKey(salt, accessKey string) string {
	if salt == "" || accessKey == "" || len(accessKey) > maxToken {
		return ""
	}
	mac := hmac.New(sha512.New, []byte(salt))
	mac.Write([]byte(accessKey))
	return hex.EncodeToString(mac.Sum(nil))
}

// SameHash compares two hashes in constant time. No hash is the same as nothing.
func SameHash(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
