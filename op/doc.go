// Package op makes one operation of the registry's contract a value: a [Call]
// says what is asked, a [Result] what was answered.
//
// Everything that handles operations as data is built on it: recorders,
// histories and scripts, the protocol for registries in other processes, the
// comparison with the reference, fault injection and test doubles. [Do] makes a
// call on a handle; [Handle] is the inverse and makes a handle of one function,
// as http.HandlerFunc makes a handler. Each operation is one row of one table
// (table.go): its arguments, their limits, how it is called and what it answers.
//
// A call has two texts. [Call.Script] is complete and is read again by [Parse];
// [Text] is for people and shortens. The JSON form ([CallFields],
// [ResultFields]) is that of histories and of the protocol.
package op
