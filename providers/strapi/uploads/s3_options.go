package uploads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/transfer-runner/runner/transfer"
)

// S3Provider is what rows say of files in a bucket.
const S3Provider = "aws-s3"

// IsS3 reports whether a project's upload provider is the one that keeps files in an S3-compatible bucket.
func IsS3(provider string) bool {
	return provider == S3Provider || provider == "@strapi/provider-upload-aws-s3"
}

// S3Options are the settings of a bucket.
type S3Options struct {
	Provider string // what rows say; default "aws-s3"
	Bucket   string
	Region   string
	Endpoint string // "" is Amazon's
	RootPath string // what each key begins with
	BaseURL  string // what each url begins with, instead of the bucket's own address
	ACL      string // "" sends none
	Expires  time.Duration

	PathStyle                          bool
	AccessKey, SecretKey, SessionToken string
	HTTP                               *http.Client // for files that are kept elsewhere; nil takes one with time limits
	Transport                          http.RoundTripper
	TempDir                            string // where files are held on their way; "" is the system's
}

const (
	defaultRegion  = "us-east-1"
	defaultExpires = 15 * time.Minute
)

// String names the bucket without saying how to get in.
func (o S3Options) String() string { return "s3://" + o.Bucket + "/" + o.prefix() }

// GoString is String, so that no verb prints the keys.
func (o S3Options) GoString() string { return o.String() }

// ParseS3 reads the providerOptions of Strapi's provider. env looks up variables, in which the keys are when the options have none.
func ParseS3(options map[string]any, env func(string) string) (S3Options, error) {
	s3, _ := options["s3Options"].(map[string]any)
	if s3 == nil {
		s3 = map[string]any{}
	}
	for name, value := range options { // where older projects have them
		if _, ok := s3[name]; !ok && name != "s3Options" {
			s3[name] = value
		}
	}
	params, _ := s3["params"].(map[string]any)
	if params == nil {
		params, _ = options["params"].(map[string]any)
	}
	secret, _ := s3["credentials"].(map[string]any)
	if secret == nil {
		secret = s3
	}
	o := S3Options{
		Bucket: text(params["Bucket"]), Region: cmp.Or(text(s3["region"]), env("AWS_REGION"), env("AWS_DEFAULT_REGION")),
		Endpoint: text(s3["endpoint"]), RootPath: text(options["rootPath"]), BaseURL: text(options["baseUrl"]), ACL: "public-read",
		AccessKey: text(secret["accessKeyId"]), SecretKey: text(secret["secretAccessKey"]), SessionToken: text(secret["sessionToken"]),
	}
	if acl, ok := params["ACL"]; ok {
		o.ACL = text(acl)
	}
	for _, name := range []string{"forcePathStyle", "s3ForcePathStyle"} {
		if on, _ := s3[name].(bool); on {
			o.PathStyle = true
		}
	}
	if seconds, ok := params["signedUrlExpires"].(json.Number); ok {
		if n, err := seconds.Int64(); err == nil && n > 0 {
			o.Expires = time.Duration(n) * time.Second
		}
	}
	if o.AccessKey == "" && o.SecretKey == "" {
		o.AccessKey, o.SecretKey, o.SessionToken = env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN")
	}
	if o.Bucket == "" {
		return o, fmt.Errorf("%w: config/plugins: the settings of the upload provider name no s3Options.params.Bucket", transfer.ErrUsage)
	}
	return o, nil
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// prefix is what the keys of all files begin with.
func (o S3Options) prefix() string {
	if o.RootPath == "" {
		return ""
	}
	return strings.TrimRight(o.RootPath, "/") + "/"
}

// address is the endpoint as a URL.
func (o S3Options) address() (*url.URL, error) {
	text := o.Endpoint
	if text == "" {
		text = "https://s3." + cmp.Or(o.Region, defaultRegion) + ".amazonaws.com"
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: config/plugins: the endpoint of the bucket is no address", transfer.ErrUsage)
	}
	return u, nil
}

// client connects to nothing yet.
func (o S3Options) client(u *url.URL) (*minio.Core, error) {
	lookup := minio.BucketLookupAuto
	if o.PathStyle || net.ParseIP(u.Hostname()) != nil {
		lookup = minio.BucketLookupPath
	}
	keys := credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	if o.AccessKey == "" {
		keys = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		})
	}
	client, err := minio.NewCore(u.Host, &minio.Options{
		Creds: keys, Secure: u.Scheme == "https", Region: cmp.Or(o.Region, defaultRegion), BucketLookup: lookup, Transport: o.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: the settings of the bucket %s: %w", transfer.ErrUsage, o.Bucket, err)
	}
	return client, nil
}

var notInExtension = regexp.MustCompile(`[^a-zA-Z0-9.]`)

// key is where the file of a row is in the bucket, as Strapi's provider has it.
func (o S3Options) key(f File) string {
	path := cleaned(f.Path)
	if path != "" {
		path += "/"
	}
	return o.prefix() + path + cleaned(f.Hash) + notInExtension.ReplaceAllString(f.Ext, "")
}

// cleaned takes out of a part of a key what would lead elsewhere.
func cleaned(part string) string {
	part = strings.Trim(strings.ReplaceAll(part, "..", ""), "/")
	for strings.Contains(part, "//") {
		part = strings.ReplaceAll(part, "//", "/")
	}
	return part
}
