package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// Tickets are what a client gets for the feeds of a job that it has started: unlike its token, they may go where others can see them, for
// they are good for that job alone, and not for long. They are void when their token is.
const (
	ticketPrefix = "job."
	ticketLife   = time.Hour
	maxTicket    = 1 << 10
)

type ticket struct {
	Job     jobs.ID `json:"j"`
	Token   string  `json:"t"`
	Expires int64   `json:"e"`
}

func (s *Server) ticketMAC(payload string) []byte {
	mac := hmac.New(sha256.New, s.config.Jobs.Store.Secret())
	mac.Write([]byte("ticket\x00" + payload))
	return mac.Sum(nil)
}

// makeTicket makes the ticket of a job for whoever has a token.
func (s *Server) makeTicket(job jobs.ID, tokenID string) (string, error) {
	body, err := json.Marshal(ticket{Job: job, Token: tokenID, Expires: time.Now().Add(ticketLife).Unix()})
	if err != nil {
		return "", err
	}
	payload := base64.RawURLEncoding.EncodeToString(body)
	return ticketPrefix + payload + "." + base64.RawURLEncoding.EncodeToString(s.ticketMAC(payload)), nil
}

// openTicket returns what a ticket is for; ok is false for one that is not good, and for anything else.
func (s *Server) openTicket(text string) (job jobs.ID, tokenID string, ok bool) {
	rest, ok := strings.CutPrefix(text, ticketPrefix)
	if !ok || len(text) > maxTicket || s.config.Jobs.Store == nil {
		return "", "", false
	}
	payload, sum, ok := strings.Cut(rest, ".")
	if !ok {
		return "", "", false
	}
	encoding := base64.RawURLEncoding.Strict()
	mac, err := encoding.DecodeString(sum)
	if err != nil || !hmac.Equal(mac, s.ticketMAC(payload)) {
		return "", "", false
	}
	body, err := encoding.DecodeString(payload)
	var t ticket
	if err != nil || json.Unmarshal(body, &t) != nil || time.Now().Unix() >= t.Expires || t.Job == "" {
		return "", "", false
	}
	return t.Job, t.Token, true
}
