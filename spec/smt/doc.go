// Package smt has terms of first-order logic with integers and one
// uninterpreted sort, prints them in SMT-LIB 2, and asks solvers about them.
//
// Terms are made by functions that simplify what is evident (a conjunction with
// false, a comparison of two numerals) and are shared: equal terms of one
// [Terms] are the same pointer.
package smt
