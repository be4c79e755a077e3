package rows

// EachMember calls visit with the name and the JSON text of each member of an object, which must be valid JSON.
func EachMember(object string, visit func(name, value string) error) error {
	return eachMember(object, visit)
}

// Members returns the members of an object by name.
func Members(object string) (map[string]string, error) {
	out := make(map[string]string)
	err := eachMember(object, func(name, value string) error {
		out[name] = value
		return nil
	})
	return out, err
}

// Unquote returns the text of a JSON string.
func Unquote(value string) (string, error) { return unquote(value) }

// Quote returns text as a JSON string.
func Quote(text string) string { return quote(text) }

// Compact returns JSON text without the white space between its parts.
func Compact(value string) string { return compact(value) }
