package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/transfer"
)

// stockFlags are options of Strapi's own commands, taken so that a line for them works here. They are not listed in the help.
type stockFlags struct {
	Force      bool
	File       string
	Format     string
	NoEncrypt  bool
	NoCompress bool
	Encrypt    bool
	Compress   bool
}

func (s *stockFlags) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&s.Force, "force", false, "as --yes --schema-strategy ignore")
	f.StringVarP(&s.File, "file", "f", "", "the archive or folder on this side")
	f.StringVar(&s.Format, "format", "", "tar or dir")
	f.BoolVar(&s.NoEncrypt, "no-encrypt", false, "with --file: do not encrypt")
	f.BoolVar(&s.NoCompress, "no-compress", false, "with --file: do not compress")
	f.BoolVar(&s.Encrypt, "encrypt", false, "with --file: encrypt")
	f.BoolVar(&s.Compress, "compress", false, "with --file: compress")
	for _, name := range []string{"force", "file", "format", "no-encrypt", "no-compress", "encrypt", "compress"} {
		if flag := f.Lookup(name); flag != nil {
			flag.Hidden = true
		}
	}
}

// translate turns the stock options into ours and says what it made of them.
func (o *moveOptions) translate(d direction) (notes []string, err error) {
	if o.Force {
		o.Yes = true
		if o.SchemaStrategy == "strict" {
			o.SchemaStrategy = string(transfer.SchemaIgnore)
			notes = append(notes, "--force is read as --yes --schema-strategy ignore: values that the destination has no field for are lost")
		}
	}
	near := &o.From
	if d == directionPull {
		near = &o.To
	}
	if o.File == "" {
		return notes, o.withoutFile(near.Endpoint)
	}
	if near.Endpoint != "" {
		return nil, fmt.Errorf("%w: give --file or --%s, not both", transfer.ErrUsage, near.name)
	}
	if d == directionPush {
		near.Endpoint = o.File
		return notes, nil
	}
	near.Endpoint, err = o.exportName()
	return notes, err
}

// withoutFile refuses the options that shape the name of --file where they would be overlooked.
func (o *moveOptions) withoutFile(near string) error {
	if o.Format != "" || o.Encrypt || o.Compress {
		return fmt.Errorf("%w: --format, --encrypt and --compress belong to --file; without it the ending of the name decides: "+
			".tar, .tar.gz, .tar.gz.enc, .tar.gz.age, or dir:PATH", transfer.ErrUsage)
	}
	name := strings.ToLower(near)
	if o.NoEncrypt && (strings.HasSuffix(name, ".enc") || strings.HasSuffix(name, ".age")) || o.NoCompress && strings.Contains(name, ".gz") {
		return fmt.Errorf("%w: %s says otherwise by its ending than --no-encrypt or --no-compress", transfer.ErrUsage, near)
	}
	return nil
}

// exportName makes the name that Strapi's export would give the file: it adds the endings.
func (o *moveOptions) exportName() (string, error) {
	switch o.Format {
	case "dir":
		if !o.NoEncrypt {
			return "", fmt.Errorf("%w: a folder cannot be encrypted: add --no-encrypt", transfer.ErrUsage)
		}
		return "dir:" + o.File, nil
	case "", "tar":
	default:
		return "", badChoice("format", o.Format, "tar, dir")
	}
	lower := strings.ToLower(o.File)
	if slices.ContainsFunc([]string{".tar", ".tar.gz", ".tar.enc", ".tar.gz.enc", ".tar.age", ".tar.gz.age"}, func(ending string) bool {
		return strings.HasSuffix(lower, ending)
	}) {
		return o.File, o.withoutFile(o.File)
	}
	name := o.File + ".tar"
	if !o.NoCompress {
		name += ".gz"
	}
	if o.NoEncrypt {
		if o.Key != "" || o.KeyFile != "" {
			return "", fmt.Errorf("%w: --key and --no-encrypt exclude each other", transfer.ErrUsage)
		}
		return name, nil
	}
	return name + ".enc", nil
}

// direction says on which side of a transfer the operator stands.
type direction string

const (
	directionPush direction = "push"
	directionPull direction = "pull"
)

// paste makes a line for "strapi transfer", "strapi export" or "strapi import" into one for this command: the first without its
// subcommand, as it is when "strapi" is deleted, the others by their names.
func paste(args []string) (out []string, note string) {
	if len(args) == 0 {
		return args, ""
	}
	switch args[0] {
	case "export":
		return append([]string{"pull"}, args[1:]...), "export is read as pull"
	case "import":
		return append([]string{"push"}, args[1:]...), "import is read as push"
	}
	if !strings.HasPrefix(args[0], "-") {
		return args, ""
	}
	given := func(name string) bool {
		return slices.ContainsFunc(args, func(arg string) bool { return arg == name || strings.HasPrefix(arg, name+"=") })
	}
	switch {
	case given("--to"):
		return append([]string{"push"}, args...), "read as transfer push"
	case given("--from"):
		return append([]string{"pull"}, args...), "read as transfer pull"
	}
	return args, ""
}
