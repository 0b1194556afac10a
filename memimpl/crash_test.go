package memimpl

const childPath = "MEMIMPL_CRASH_CHILD"

func serveChild(string) {}
