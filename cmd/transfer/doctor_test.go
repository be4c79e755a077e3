package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote/doctor"
)

func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved/admin/transfer/runner/pull" {
			http.Redirect(w, r, "https://cms.example.org/admin/transfer/runner/pull", http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"data":null,"error":{"status":401,"name":"UnauthorizedError","message":"Missing or invalid credentials"}}`)
	}))
	t.Cleanup(server.Close)
	tests := map[string]struct {
		args    []string
		env     map[string]string
		code    int
		problem doctor.Problem
		says    string
	}{
		"the way is free":       {args: []string{server.URL + "/admin"}, says: "nothing found: use " + server.URL + "/admin"},
		"a password in the URL": {args: []string{"http://bob:url-password@" + server.Listener.Addr().String() + "/admin"}, says: "nothing found"},
		"an unknown token":      {args: []string{server.URL + "/admin"}, env: map[string]string{"STRAPI_TRANSFER_TOKEN": "url-password"}, code: exitAuth, problem: doctor.BadToken, says: "cause  the server does not know the token"},
		"it moved":              {args: []string{server.URL + "/moved/admin"}, code: exitConnection, problem: doctor.WrongPath, says: "fix    give " + server.URL + "/admin"},
		"nobody is there":       {args: []string{"http://127.0.0.1:1/admin"}, code: exitConnection, problem: doctor.Refused, says: "nothing listens"},
		"no URL at all":         {args: []string{"ftp://host"}, code: exitUsage, problem: doctor.BadURL, says: "cause  the address cannot be used"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.env != nil {
				w.env = tt.env
			}
			args := append([]string{"doctor"}, tt.args...)
			require.Equal(t, tt.code, w.run(args...), w.out.String()+w.err.String())
			require.Contains(t, w.out.String(), tt.says)
			require.NotContains(t, w.out.String()+w.err.String(), "url-password")
			require.Equal(t, tt.code, w.run(append(args, "--json")...))
			var got doctor.Report
			require.NoError(t, json.Unmarshal([]byte(w.out.String()), &got))
			if tt.problem == "" {
				require.Nil(t, got.Finding)
				return
			}
			require.Equal(t, tt.problem, got.Finding.Problem)
		})
	}
}
