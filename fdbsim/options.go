package fdbsim

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Option codes of transactions that the simulator gives meaning to, or counts. Databases use other codes for the
// defaults of the same settings.
const (
	OptionNextWriteNoWriteConflictRange      = 30
	OptionReadYourWritesDisable              = 51
	OptionAccessSystemKeys                   = 301
	OptionReadSystemKeys                     = 302
	OptionTimeout                            = 500
	OptionRetryLimit                         = 501
	OptionMaxRetryDelay                      = 502
	OptionSizeLimit                          = 503
	OptionAutomaticIdempotency               = 505
	OptionSnapshotRywEnable                  = 600
	OptionSnapshotRywDisable                 = 601
	OptionLockAware                          = 700
	OptionPriorityImmediate                  = 200
	OptionPriorityBatch                      = 201
	OptionAutoThrottleTag                    = 801
	OptionUsedDuringCommitProtectionDisable  = 701
	OptionReadLockAware                      = 702
	OptionReportConflictingKeys              = 712
	OptionBypassUnreadable                   = 1100
	optionSpecialKeySpaceEnableWrites        = 714
	databaseOptionMaxWatches                 = 20
	databaseOptionSnapshotRywEnable          = 26
	databaseOptionSnapshotRywDisable         = 27
	databaseOptionTimeout                    = 500
	databaseOptionRetryLimit                 = 501
	databaseOptionMaxRetryDelay              = 502
	databaseOptionSizeLimit                  = 503
	databaseOptionAutomaticIdempotency       = 506
	databaseOptionBypassUnreadable           = 700
	databaseOptionUsedDuringCommitProtection = 701
	databaseOptionReportConflictingKeys      = 702
)

// harmlessTransactionOptions only influence performance, priorities, tracing or durability of a real
// cluster, none of which the simulator has: accepting them changes no answer.
var harmlessTransactionOptions = map[int]bool{
	10: true, 20: true, 21: true, 23: true, 52: true, 110: true, 120: true, 130: true, 200: true, 201: true,
	303: true, 401: true, 402: true, 403: true, 404: true, 405: true, 406: true, 507: true, 508: true, 509: true,
	510: true, 511: true, 800: true, 801: true, 900: true, 1000: true,
}

// unmodelledTransactionOptions exist but would change answers in ways the simulator does not model.
var unmodelledTransactionOptions = map[int]bool{
	300: true, 304: true, 711: true, 713: true, optionSpecialKeySpaceEnableWrites: true, 1101: true, 2000: true,
}

var harmlessDatabaseOptions = map[int]bool{10: true, 21: true, 22: true, 405: true, 504: true, 505: true, 900: true}

// settings are the options of one transaction. The first group survives OnError, the second does not.
type settings struct {
	timeout       time.Duration // 0: none
	retryLimit    int64         // -1: none
	maxRetryDelay time.Duration
	sizeLimit     int64
	idempotent    bool

	rywDisabled           bool
	snapshotRyw           int // snapshot reads see own writes while positive
	nextWriteNoConflict   bool
	systemRead            bool
	systemWrite           bool
	lockAware             bool
	readLockAware         bool
	commitProtectionOff   bool
	reportConflictingKeys bool
	bypassUnreadable      bool
}

func defaultSettings() settings {
	return settings{retryLimit: -1, maxRetryDelay: time.Second, sizeLimit: maxSizeLimit, snapshotRyw: 1}
}

// afterOnError keeps what survives OnError and takes the rest from the database's defaults.
func (s settings) afterOnError(defaults settings) settings {
	defaults.timeout, defaults.retryLimit, defaults.maxRetryDelay = s.timeout, s.retryLimit, s.maxRetryDelay
	defaults.sizeLimit, defaults.idempotent = s.sizeLimit, s.idempotent
	return defaults
}

// setNumber stores one of the numeric options that transactions and databases share. The library
// checks the value when it applies the option, not when it is set.
func (s *settings) setNumber(option int, param []byte) Code {
	if len(param) != 8 {
		return codeInvalidOptionValue
	}
	n := int64(binary.LittleEndian.Uint64(param))
	lowest, highest := int64(0), int64(math.MaxInt32)
	switch option {
	case OptionRetryLimit:
		lowest = -1
	case OptionSizeLimit:
		lowest, highest = minSizeLimit, maxSizeLimit
	}
	if n < lowest || n > highest {
		return codeInvalidOptionValue
	}
	switch option {
	case OptionTimeout:
		s.timeout = time.Duration(n) * time.Millisecond
	case OptionRetryLimit:
		s.retryLimit = n
	case OptionMaxRetryDelay:
		s.maxRetryDelay = time.Duration(n) * time.Millisecond
	case OptionSizeLimit:
		s.sizeLimit = n
	}
	return codeOK
}

// SetOption sets an option by its code and raw parameter. The error is only for a code that does not
// exist; a bad value shows up in the next operation instead (rows V07, O24, R12).
func (tr *Transaction) SetOption(option int, param []byte) Code {
	var code Code
	tr.c.do(func() { code = tr.setOption(option, param) })
	return code
}

func (tr *Transaction) setOption(option int, param []byte) Code {
	s := &tr.opts
	tr.c.stats.Options[option]++
	switch option {
	case OptionTimeout, OptionRetryLimit, OptionMaxRetryDelay, OptionSizeLimit:
		tr.at.fail(s.setNumber(option, param))
		if option == OptionTimeout {
			tr.armTimeout()
		}
	case OptionReadYourWritesDisable:
		if tr.at.used {
			tr.at.fail(codeInvalidOperation)
		} else {
			s.rywDisabled = true
		}
	case OptionSnapshotRywEnable:
		s.snapshotRyw++
	case OptionSnapshotRywDisable:
		s.snapshotRyw--
	case OptionNextWriteNoWriteConflictRange:
		s.nextWriteNoConflict = true
	case OptionAccessSystemKeys:
		s.systemRead, s.systemWrite = true, true
	case OptionReadSystemKeys:
		s.systemRead = true
	case OptionAutomaticIdempotency:
		s.idempotent = true
	case OptionLockAware:
		s.lockAware, s.readLockAware = true, true
	case OptionReadLockAware:
		s.readLockAware = true
	case OptionUsedDuringCommitProtectionDisable:
		s.commitProtectionOff = true
	case OptionReportConflictingKeys:
		s.reportConflictingKeys = true
	case OptionBypassUnreadable:
		s.bypassUnreadable = true
	default:
		return tr.c.otherOption("transaction option", option, harmlessTransactionOptions, unmodelledTransactionOptions)
	}
	return codeOK
}

func (c *Cluster) otherOption(what string, option int, harmless, unmodelled map[int]bool) Code {
	switch {
	case harmless[option]:
		return codeOK
	case unmodelled[option]:
		return c.unsupported(fmt.Sprintf("%s %d", what, option))
	default:
		return codeInvalidOption
	}
}

// SetOption sets a database option by its code and raw parameter. As with transactions, a bad value
// is not reported here: every later operation of the database's transactions fails with it (row W12).
func (d *Database) SetOption(option int, param []byte) Code {
	var code Code
	d.c.do(func() { code = d.setOption(option, param) })
	return code
}

func (d *Database) setOption(option int, param []byte) Code {
	s := &d.defaults
	switch option {
	case databaseOptionTimeout, databaseOptionRetryLimit, databaseOptionMaxRetryDelay, databaseOptionSizeLimit:
		if bad := s.setNumber(option, param); bad != codeOK {
			d.deferred = bad
		}
	case databaseOptionMaxWatches:
		n := int64(-1)
		if len(param) == 8 {
			n = int64(binary.LittleEndian.Uint64(param))
		}
		if n < 0 || n > 1_000_000 {
			d.deferred = codeInvalidOptionValue
		} else {
			d.maxWatches = n
		}
	case databaseOptionSnapshotRywEnable:
		s.snapshotRyw = 1
	case databaseOptionSnapshotRywDisable:
		s.snapshotRyw = 0
	case databaseOptionAutomaticIdempotency:
		s.idempotent = true
	case databaseOptionBypassUnreadable:
		s.bypassUnreadable = true
	case databaseOptionUsedDuringCommitProtection:
		s.commitProtectionOff = true
	case databaseOptionReportConflictingKeys:
		s.reportConflictingKeys = true
	default:
		return d.c.otherOption("database option", option, harmlessDatabaseOptions, map[int]bool{800: true})
	}
	return codeOK
}
