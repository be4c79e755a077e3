package transfer

// Schemas are content types and components by uid.
type Schemas map[string]Schema
