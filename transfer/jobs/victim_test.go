package jobs_test

func victim(string) {}
