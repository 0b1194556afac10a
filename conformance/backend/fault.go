package backend

import "context"

// Fault is one of the troubles of [Faults], by its name in the protocol.
type Fault string

// The faults.
const (
	FaultUnavailable Fault = "unavailable"
	FaultLostRequest Fault = "lost_request"
	FaultLostAnswer  Fault = "lost_answer"
	FaultLate        Fault = "late"
)

// String tells in words what the fault does.
func (f Fault) String() string {
	switch f {
	case FaultUnavailable:
		return "the store refuses to work"
	case FaultLostRequest:
		return "the request is lost, and the caller is told that the outcome is unknown"
	case FaultLostAnswer:
		return "it happens, and the caller is told that the outcome is unknown"
	case FaultLate:
		return "it may happen later, and the caller is told that the outcome is unknown"
	}
	return string(f)
}

// hearerKey is the key of a context's value of type func(Fault).
type hearerKey struct{}

// Suffers tells the suite that the call made with ctx suffers the fault. A
// [FaultInjector] that calls it has the texts of convictions name the calls that were
// in trouble; no verdict depends on it.
func Suffers(ctx context.Context, f Fault) {
	if hear, ok := ctx.Value(hearerKey{}).(func(Fault)); ok {
		hear(f)
	}
}

// HearFaults returns a context of which hear is told what [Suffers] says. It is for the
// suite and for what passes its calls on, as the server of a protocol does. hear may be
// called from any goroutine, until the call returns.
func HearFaults(ctx context.Context, hear func(Fault)) context.Context {
	return context.WithValue(ctx, hearerKey{}, hear)
}
