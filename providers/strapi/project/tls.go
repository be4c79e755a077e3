package project

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
)

// tlsConfig reads the member ssl of a connection, which Node hands to its TLS: false or nothing, true, or an object with ca, cert,
// key and rejectUnauthorized.
func tlsConfig(ssl any, host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	var fields map[string]any
	switch v := ssl.(type) {
	case nil:
		return nil, nil
	case bool:
		if !v {
			return nil, nil
		}
	case string:
		switch strings.ToLower(v) {
		case "", "false", "0", "disable":
			return nil, nil
		}
	case map[string]any:
		fields = v
	default:
		return nil, errors.New("its ssl is neither true, false nor an object")
	}
	if name := textAt(fields, "servername"); name != "" {
		config.ServerName = name
	}
	if reject, ok := fields["rejectUnauthorized"].(bool); ok && !reject {
		config.InsecureSkipVerify = true // as the project says
	}
	if ca := pemTexts(fields["ca"]); ca != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("its ssl.ca holds no certificate in PEM")
		}
	}
	cert, key := pemTexts(fields["cert"]), pemTexts(fields["key"])
	if cert != "" || key != "" {
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			return nil, errors.New("its ssl.cert and ssl.key are no certificate and key in PEM that belong together")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// pemTexts joins one text or several.
func pemTexts(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		var texts []string
		for _, item := range v {
			texts = append(texts, pemTexts(item))
		}
		return strings.Join(texts, "\n")
	}
	return ""
}
