package transfer

// Omission is a record that a destination was given and leaves out.
type Omission struct {
	Record  Record
	Reason  string
	Missing []string // what a link leads to and the destination was not given, each as type:id
	Allowed bool     // as in [Skip]
}

// OmissionTeller is an [Accountant] that tells of each record that it leaves out while it is being written, and not only how many
// there were.
type OmissionTeller interface {
	// OnOmission sets what is called for each, by the goroutine that called Write. It is called before Begin, if at all.
	OnOmission(func(Omission))
}
