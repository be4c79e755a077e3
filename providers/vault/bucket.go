package vault

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/transfer-runner/runner/transfer"
)

// Bucket is S3-compatible storage that pieces are kept in. Credentials come from the environment (AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, or MINIO_ACCESS_KEY and MINIO_SECRET_KEY), from the shared credentials file or from the machine's role.
type Bucket struct {
	Name     string
	Prefix   string // what the keys begin with, without a slash at its end
	Endpoint string // host, with a port if need be; "" is Amazon's
	Insecure bool   // http instead of https
	Region   string

	// AccessKey and SecretKey are used instead of what the environment says.
	AccessKey, SecretKey string

	Transport http.RoundTripper // nil is one with timeouts
}

const (
	amazon        = "s3.amazonaws.com"
	bucketTimeout = time.Minute // until an answer begins
)

// ParseBucket reads s3://BUCKET[/PREFIX][?endpoint=https://HOST:PORT&region=REGION].
func ParseBucket(text string) (Bucket, error) {
	const form = "give it as s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION"
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.Opaque != "" || u.Fragment != "" {
		return Bucket{}, fmt.Errorf("%w: the address of a bucket cannot be read; %s", transfer.ErrUsage, form)
	}
	if u.User != nil {
		return Bucket{}, fmt.Errorf("%w: keys do not belong into the address of a bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", transfer.ErrUsage)
	}
	b := Bucket{Name: u.Host, Prefix: strings.Trim(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Bucket{}, fmt.Errorf("%w: the address of a bucket cannot be read; %s", transfer.ErrUsage, form)
	}
	for name, values := range query {
		switch {
		case len(values) == 1 && name == "region":
			b.Region = values[0]
		case len(values) == 1 && name == "endpoint":
			if b.Endpoint, b.Insecure, err = parseBucketEndpoint(values[0]); err != nil {
				return Bucket{}, err
			}
		default:
			return Bucket{}, fmt.Errorf("%w: the address of a bucket has no %q; %s", transfer.ErrUsage, name, form)
		}
	}
	return b, nil
}

func parseBucketEndpoint(text string) (host string, insecure bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", false, fmt.Errorf("%w: the endpoint of a bucket must be http://HOST:PORT or https://HOST:PORT", transfer.ErrUsage)
	}
	return u.Host, u.Scheme == "http", nil
}

// String is the bucket without secrets.
func (b Bucket) String() string {
	text := "s3://" + b.Name
	if b.Prefix != "" {
		text += "/" + b.Prefix
	}
	if b.Endpoint != "" {
		text += " at " + b.Endpoint
	}
	return text
}

// GoString hides the keys from %#v.
func (b Bucket) GoString() string { return b.String() }

// client returns a client that tries what fails again, up to a number of times; 0 leaves that to it.
func (b Bucket) client(retries int) (*minio.Core, error) {
	keys := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
	if b.AccessKey != "" {
		keys = credentials.NewStaticV4(b.AccessKey, b.SecretKey, "")
	}
	transport := b.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: bucketTimeout}).DialContext,
			TLSHandshakeTimeout: bucketTimeout, ResponseHeaderTimeout: bucketTimeout, IdleConnTimeout: bucketTimeout,
			MaxIdleConnsPerHost: uploadsAtOnce, DisableCompression: true,
		}
	}
	core, err := minio.NewCore(cmp.Or(b.Endpoint, amazon), &minio.Options{
		Creds: keys, Secure: !b.Insecure, Region: b.Region, Transport: transport, MaxRetries: retries,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: bucket %s: %w", transfer.ErrUsage, b, err)
	}
	return core, nil
}
