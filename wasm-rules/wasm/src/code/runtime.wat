;; What all compiled rules share: the loop over candidates, buffers, searching, numbers, windows and choices.
;;
;; The compiler (`code`) puts a function for every rule behind these, and their literals into memory. Everything here
;; decides as `weir_engine::eval`'s machine does, limits included; where the two differ, the machine is right.
;;
;; Memory, in bytes: 1024 byte variables (256 of 8); 4096 choices (12 each); 65536 literals; then, at places that the
;; compiler puts into globals, the table of views, the list of candidates, and the buffers of the call at hand.
(module
  ;; Puts a view of the subject (a buffer after its transforms) at `at`: its length, or -1 where there is none. `index`: of
  ;; several buffers of a kind in a transaction, which one. There is room for 128 bytes more behind it.
  (import "weir" "load" (func $host_load (param $view i32) (param $index i32) (param $at i32) (result i32)))
  ;; A header field, by `Field`; -1 where the packet has none.
  (import "weir" "field" (func $field (param $field i32) (result i64)))
  ;; Whether a test on the packet that is no comparison of a field holds.
  (import "weir" "packet" (func $packet (param $rule i32) (param $test i32) (result i32)))
  ;; Whether what a rule asks of transactions and of the flow's protocol holds.
  (import "weir" "app" (func $app (param $rule i32) (result i32)))
  ;; Byte order of the DCE/RPC request at hand, as a base of `$read`.
  (import "weir" "dce" (func $dce (result i32)))
  ;; First match of an expression at or after `start`: where it begins, times 2^32, and where it ends. -1: none; -2: given up.
  (import "weir" "pcre" (func $pcre (param $regex i32) (param $at i32) (param $length i32) (param $start i32) (result i64)))
  ;; Decodes base64 to `to`, and says how many bytes came out.
  (import "weir" "base64" (func $base64 (param $at i32) (param $length i32) (param $to i32) (result i32)))
  ;; Whether a test of entropy holds.
  (import "weir" "entropy" (func $entropy (param $test i32) (param $at i32) (param $length i32) (result i32)))
  ;; An evaluation was given up: 0 for too many steps, 1 for too much work.
  (import "weir" "limit" (func $limit (param $which i32)))

  (type $rule (func (result i32)))
  (memory (export "memory") 2)
  (table $rules 1 funcref)
  (elem (table $rules) (i32.const 0) func)

  ;; Where the compiler has put things: the table of views, the candidates, the first byte for buffers. In this order.
  (global $views (mut i32) (i32.const 0))
  (global $candidates (mut i32) (i32.const 0))
  (global $heap (mut i32) (i32.const 0))

  ;; The buffer at hand, and the offset of its first byte in its stream.
  (global $buf (mut i32) (i32.const 0))
  (global $len (mut i32) (i32.const 0))
  (global $start (mut i64) (i64.const 0))
  ;; The same offset for the payload.
  (global $stream (mut i64) (i64.const 0))
  ;; What the flow speaks: a number of `AppProto`, or -1.
  (global $proto (mut i32) (i32.const -1))
  ;; Steps taken in the buffer at hand, bytes that may still be looked at, choices (their end, and the first of this run).
  (global $steps (mut i32) (i32.const 0))
  (global $work (mut i64) (i64.const 0))
  (global $sp (mut i32) (i32.const 4096))
  (global $floor (mut i32) (i32.const 4096))
  ;; Number of the call, and where the next buffer goes.
  (global $stamp (mut i32) (i32.const 0))
  (global $top (mut i32) (i32.const 0))
  ;; What `$read` found, and how many bytes that took.
  (global $value (mut i64) (i64.const 0))
  (global $taken (mut i32) (i32.const 0))
  ;; Where `$window` says to look.
  (global $from (mut i32) (i32.const 0))
  (global $to (mut i32) (i32.const 0))

  (export "candidates" (global $candidates))
  ;; Version of what is asked of the host.
  (global (export "abi") i32 (i32.const 1))

  ;; Decides the candidates, and leaves those that match at the front of their list: how many these are.
  (func $evaluate (export "evaluate") (param $count i32) (param $stream i64) (param $proto i32) (result i32)
    (local $from i32) (local $to i32) (local $end i32) (local $rule i32)
    (global.set $stream (local.get $stream))
    (global.set $proto (local.get $proto))
    (global.set $top (global.get $heap))
    (global.set $stamp (i32.add (global.get $stamp) (i32.const 1)))
    (if (i32.eqz (global.get $stamp))
      (then
        ;; Once in 2^32 calls: no view may seem to be of this one.
        (memory.fill (global.get $views) (i32.const 0)
          (i32.sub (global.get $candidates) (global.get $views)))
        (global.set $stamp (i32.const 1))))
    (local.set $from (global.get $candidates))
    (local.set $to (local.get $from))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (local.set $rule (i32.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (br_if $next (i32.eqz (call_indirect $rules (type $rule) (local.get $rule))))
        (i32.store (local.get $to) (local.get $rule))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (br $next)))
    (i32.shr_u (i32.sub (local.get $to) (global.get $candidates)) (i32.const 2)))

  ;; Makes a view the buffer at hand; 0 where there is none. A view is loaded once in a call.
  (func $load (param $view i32) (result i32)
    (local $entry i32) (local $length i32)
    (local.set $entry (i32.add (global.get $views) (i32.shl (local.get $view) (i32.const 4))))
    (if (i32.ne (i32.load (local.get $entry)) (global.get $stamp))
      (then
        (local.set $length (call $host_load (local.get $view) (i32.const 0) (global.get $top)))
        (i32.store (local.get $entry) (global.get $stamp))
        (i32.store offset=4 (local.get $entry) (global.get $top))
        (i32.store offset=8 (local.get $entry) (local.get $length))
        (if (i32.gt_s (local.get $length) (i32.const 0))
          (then (call $take (local.get $length))))))
    (local.set $length (i32.load offset=8 (local.get $entry)))
    (if (i32.lt_s (local.get $length) (i32.const 0)) (then (return (i32.const 0))))
    (global.set $buf (i32.load offset=4 (local.get $entry)))
    (global.set $len (local.get $length))
    (i32.const 1))

  ;; The same for another buffer of the kind.
  (func $load_other (param $view i32) (param $index i32) (result i32)
    (local $length i32)
    (local.set $length (call $host_load (local.get $view) (local.get $index) (global.get $top)))
    (if (i32.lt_s (local.get $length) (i32.const 0)) (then (return (i32.const 0))))
    (global.set $buf (global.get $top))
    (global.set $len (local.get $length))
    (call $take (local.get $length))
    (i32.const 1))

  ;; Moves `$top` behind a buffer of this length, and behind 64 bytes that may be read with it.
  (func $take (param $length i32)
    (global.set $top (i32.add (global.get $top)
      (i32.and (i32.add (local.get $length) (i32.const 79)) (i32.const -16)))))

  ;; Begins with the buffer at hand: its first byte's place in the stream, and how many steps there are.
  (func $begin (param $start i64) (param $steps i32)
    (global.set $start (local.get $start))
    (global.set $steps (i32.const 0))
    (global.set $sp (i32.const 4096))
    (global.set $floor (i32.const 4096))
    (global.set $work (i64.add (i64.const 4194304)
      (i64.mul (i64.extend_i32_u (local.get $steps)) (i64.extend_i32_u (global.get $len))))))

  ;; Takes bytes that were looked at off what may be.
  (func $charge (param $bytes i32)
    (local $left i64)
    (local.set $left (i64.sub (global.get $work) (i64.extend_i32_u (local.get $bytes))))
    (global.set $work (select (local.get $left) (i64.const 0) (i64.gt_s (local.get $left) (i64.const 0)))))

  ;; Counts a step; 1 when there were too many.
  (func $tick (result i32)
    (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
    (if (i32.lt_u (global.get $steps) (i32.const 3000)) (then (return (i32.const 0))))
    (if (i32.eq (global.get $steps) (i32.const 3000)) (then (call $limit (i32.const 0))))
    (i32.const 1))

  ;; Leaves a choice: the step, the cursor before it, where its next match may start.
  (func $push (param $step i32) (param $cursor i32) (param $again i32)
    (i32.store (global.get $sp) (local.get $step))
    (i32.store offset=4 (global.get $sp) (local.get $cursor))
    (i32.store offset=8 (global.get $sp) (local.get $again))
    (global.set $sp (i32.add (global.get $sp) (i32.const 12))))

  ;; Takes the last choice up; 0 when there is none. It lies at `$sp` then.
  (func $pop (result i32)
    (if (i32.le_u (global.get $sp) (global.get $floor)) (then (return (i32.const 0))))
    (global.set $sp (i32.sub (global.get $sp) (i32.const 12)))
    (i32.const 1))

  ;; First place of a byte from `from` to `to`, or -1.
  (func $find_byte (param $byte i32) (param $from i32) (param $to i32) (result i32)
    (local $at i32) (local $end i32) (local $mask i32) (local $wanted v128)
    (local.set $at (i32.add (global.get $buf) (local.get $from)))
    (local.set $end (i32.add (global.get $buf) (local.get $to)))
    (local.set $wanted (i8x16.splat (local.get $byte)))
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $mask (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (local.get $wanted))))
        (if (local.get $mask)
          (then
            (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $mask))))
            (br_if $none (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $at (i32.sub (local.get $at) (global.get $buf)))
            (call $charge (i32.add (i32.sub (local.get $at) (local.get $from)) (i32.const 1)))
            (return (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (call $charge (i32.sub (local.get $to) (local.get $from)))
    (i32.const -1))

  ;; 1 when the bytes at two places are the same.
  (func $same (param $a i32) (param $b i32) (param $length i32) (result i32)
    (block $rest
      (loop $words
        (br_if $rest (i32.lt_u (local.get $length) (i32.const 8)))
        (if (i64.ne (i64.load (local.get $a)) (i64.load (local.get $b))) (then (return (i32.const 0))))
        (local.set $a (i32.add (local.get $a) (i32.const 8)))
        (local.set $b (i32.add (local.get $b) (i32.const 8)))
        (local.set $length (i32.sub (local.get $length) (i32.const 8)))
        (br $words)))
    (block $done
      (loop $bytes
        (br_if $done (i32.eqz (local.get $length)))
        (if (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))) (then (return (i32.const 0))))
        (local.set $a (i32.add (local.get $a) (i32.const 1)))
        (local.set $b (i32.add (local.get $b) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $bytes)))
    (i32.const 1))

  ;; How many bytes of `text` are those of `literal`, which is in lower case, in either case.
  (func $same_folded (param $text i32) (param $literal i32) (param $length i32) (result i32)
    (local $count i32) (local $byte i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $length)))
        (local.set $byte (i32.load8_u (i32.add (local.get $text) (local.get $count))))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 65)) (i32.const 26))
          (then (local.set $byte (i32.or (local.get $byte) (i32.const 32)))))
        (br_if $done (i32.ne (local.get $byte) (i32.load8_u (i32.add (local.get $literal) (local.get $count)))))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  ;; First place of a literal of two bytes or more from `from` to `to`, or -1. Of its bytes, those at `a` and `b` are looked
  ;; for first.
  (func $find_exact (param $literal i32) (param $length i32) (param $a i32) (param $b i32)
      (param $from i32) (param $to i32) (result i32)
    (local $at i32) (local $last i32) (local $mask i32) (local $here i32) (local $first v128) (local $second v128)
    (block $none
      (br_if $none (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (local.get $length)))
      (local.set $last (i32.add (global.get $buf) (i32.sub (local.get $to) (local.get $length))))
      (local.set $at (i32.add (global.get $buf) (local.get $from)))
      (local.set $first (v128.load8_splat (i32.add (local.get $literal) (local.get $a))))
      (local.set $second (v128.load8_splat (i32.add (local.get $literal) (local.get $b))))
      (loop $next
        (local.set $mask (i8x16.bitmask (v128.and
          (i8x16.eq (v128.load (i32.add (local.get $at) (local.get $a))) (local.get $first))
          (i8x16.eq (v128.load (i32.add (local.get $at) (local.get $b))) (local.get $second)))))
        (block $through
          (loop $bits
            (br_if $through (i32.eqz (local.get $mask)))
            (local.set $here (i32.add (local.get $at) (i32.ctz (local.get $mask))))
            (br_if $none (i32.gt_u (local.get $here) (local.get $last)))
            (if (call $same (local.get $here) (local.get $literal) (local.get $length))
              (then
                (local.set $here (i32.sub (local.get $here) (global.get $buf)))
                (call $charge (i32.add (i32.sub (local.get $here) (local.get $from)) (local.get $length)))
                (return (local.get $here))))
            (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
            (br $bits)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next (i32.le_u (local.get $at) (local.get $last)))))
    (call $charge (i32.sub (local.get $to) (local.get $from)))
    (i32.const -1))

  ;; The same for a literal in either case, which is given in lower case; the byte at `anchor` is looked for first, and
  ;; `fold` is 32 where it is a letter, else 0. Comparisons are paid for: a text in which the anchor is everywhere costs as
  ;; much as it is long for each byte of the literal.
  (func $find_folded (param $literal i32) (param $length i32) (param $anchor i32) (param $fold i32)
      (param $from i32) (param $to i32) (result i32)
    (local $at i32) (local $last i32) (local $mask i32) (local $here i32) (local $same i32)
    (local $wanted v128) (local $folds v128)
    (block $none
      (br_if $none (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (local.get $length)))
      (local.set $last (i32.add (global.get $buf) (i32.sub (local.get $to) (local.get $length))))
      (local.set $at (i32.add (global.get $buf) (local.get $from)))
      (local.set $wanted (v128.load8_splat (i32.add (local.get $literal) (local.get $anchor))))
      (local.set $folds (i8x16.splat (local.get $fold)))
      (loop $next
        (local.set $mask (i8x16.bitmask (i8x16.eq
          (v128.or (v128.load (i32.add (local.get $at) (local.get $anchor))) (local.get $folds))
          (local.get $wanted))))
        (block $through
          (loop $bits
            (br_if $through (i32.eqz (local.get $mask)))
            (local.set $here (i32.add (local.get $at) (i32.ctz (local.get $mask))))
            (br_if $none (i32.gt_u (local.get $here) (local.get $last)))
            (local.set $same (call $same_folded (local.get $here) (local.get $literal) (local.get $length)))
            (if (i32.eq (local.get $same) (local.get $length))
              (then
                (local.set $here (i32.sub (local.get $here) (global.get $buf)))
                (call $charge (i32.add (i32.sub (local.get $here) (local.get $from)) (local.get $length)))
                (return (local.get $here))))
            (br_if $none (i64.lt_u (global.get $work) (i64.extend_i32_u (local.get $same))))
            (global.set $work (i64.sub (global.get $work) (i64.extend_i32_u (local.get $same))))
            (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
            (br $bits)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next (i32.le_u (local.get $at) (local.get $last)))))
    (call $charge (i32.sub (local.get $to) (local.get $from)))
    (i32.const -1))

  ;; Where a literal begins that the part from `from` to `to` ends with, or -1.
  (func $ends (param $literal i32) (param $length i32) (param $folded i32) (param $from i32) (param $to i32) (result i32)
    (local $here i32)
    (if (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (local.get $length)) (then (return (i32.const -1))))
    (local.set $here (i32.add (global.get $buf) (i32.sub (local.get $to) (local.get $length))))
    (if (result i32)
      (if (result i32) (local.get $folded)
        (then (i32.eq (call $same_folded (local.get $here) (local.get $literal) (local.get $length)) (local.get $length)))
        (else (call $same (local.get $here) (local.get $literal) (local.get $length))))
      (then (i32.sub (local.get $to) (local.get $length)))
      (else (i32.const -1))))

  (func $sum (param $a i32) (param $b i32) (result i32)
    ;; Saturates.
    (local $sum i32)
    (local.set $sum (i32.add (local.get $a) (local.get $b)))
    (select (i32.const -1) (local.get $sum) (i32.lt_u (local.get $sum) (local.get $a))))

  (func $min (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_u (local.get $a) (local.get $b))))

  ;; Where a `depth` from the start of the stream ends in the buffer at hand; -1 where that has gone by.
  (func $depth (param $limit i32) (result i32)
    (local $rest i64)
    (if (i64.ne (global.get $start) (i64.const 0))
      (then
        (if (i64.le_u (i64.extend_i32_u (local.get $limit)) (global.get $start)) (then (return (i32.const -1))))
        (local.set $rest (i64.sub (i64.extend_i32_u (local.get $limit)) (global.get $start)))
        (if (i64.lt_u (local.get $rest) (i64.extend_i32_u (global.get $len)))
          (then (return (i32.wrap_i64 (local.get $rest)))))))
    (call $min (local.get $limit) (global.get $len)))

  ;; Where a content is looked for (`$from`, `$to`): 1 there, 0 nowhere, 2 in what has gone by.
  ;; Flags: 1 relative, 2 has `within`, 4 has a depth from a variable, 8 has an offset from a variable.
  (func $window (param $cursor i32) (param $flags i32) (param $offset i32) (param $depth i32)
      (param $distance i32) (param $within i32) (result i32)
    (local $from i32) (local $to i32) (local $end i32) (local $has_depth i32) (local $limit i32)
    (local.set $limit (local.get $depth))
    (local.set $has_depth (i32.ne (local.get $depth) (i32.const 0)))
    (if (i32.and (local.get $flags) (i32.const 4))
      (then (local.set $has_depth (i32.const 1)))
      (else
        (if (i32.and (local.get $has_depth) (i32.eqz (i32.and (local.get $flags) (i32.const 8))))
          (then (local.set $limit (call $sum (local.get $depth) (local.get $offset)))))))
    (if (i32.and (local.get $flags) (i32.const 1))
      (then
        (local.set $from (local.get $cursor))
        (local.set $to (global.get $len))
        (if (i32.and (i32.lt_s (local.get $distance) (i32.const 0))
              (i32.gt_u (i32.sub (i32.const 0) (local.get $distance)) (local.get $from)))
          (then (local.set $from (i32.const 0)))
          (else (local.set $from (i32.add (local.get $from) (local.get $distance)))))
        (if (i32.and (local.get $flags) (i32.const 2))
          (then
            (local.set $end (i32.add (i32.add (local.get $cursor) (local.get $within)) (local.get $distance)))
            (if (i32.gt_s (local.get $to) (local.get $end)) (then (local.set $to (local.get $end))))))
        (if (local.get $has_depth)
          (then (local.set $to (call $min (local.get $to) (call $sum (local.get $cursor) (local.get $limit))))))
        (if (i32.lt_u (local.get $from) (local.get $offset)) (then (local.set $from (local.get $offset)))))
      (else
        (local.set $from (local.get $offset))
        (local.set $to (select (local.get $limit) (global.get $len) (local.get $has_depth)))
        (if (i32.and (local.get $has_depth) (i64.ne (global.get $start) (i64.const 0)))
          (then
            (if (i64.le_u (i64.extend_i32_u (local.get $to)) (global.get $start)) (then (return (i32.const 2))))
            (if (i64.lt_u (i64.sub (i64.extend_i32_u (local.get $to)) (global.get $start)) (i64.extend_i32_u (global.get $len)))
              (then (local.set $to (i32.sub (local.get $to) (i32.wrap_i64 (global.get $start))))))))))
    (if (i32.and (local.get $flags) (i32.const 12))
      (then (local.set $to (call $sum (local.get $to) (local.get $from)))))
    (local.set $to (call $min (local.get $to) (global.get $len)))
    (global.set $from (local.get $from))
    (global.set $to (local.get $to))
    (i32.and (i32.le_u (local.get $from) (local.get $to)) (i32.ne (local.get $to) (i32.const 0))))

  ;; Reads the number that `count` bytes at `at` hold: 0 where there is none. Bases: 0 big-endian, 1 little-endian, 2
  ;; decimal, 3 hexadecimal, 4 octal, 5 as C's `strtoull` guesses, 6 none.
  (func $read (param $at i64) (param $count i64) (param $base i32) (result i32)
    (local $length i64) (local $here i32) (local $end i32) (local $value i64)
    (local.set $length (i64.extend_i32_u (global.get $len)))
    (if (i64.gt_u (local.get $at) (local.get $length)) (then (return (i32.const 0))))
    (if (i64.gt_u (local.get $count) (i64.sub (local.get $length) (local.get $at))) (then (return (i32.const 0))))
    (local.set $here (i32.add (global.get $buf) (i32.wrap_i64 (local.get $at))))
    (local.set $end (i32.add (local.get $here) (i32.wrap_i64 (local.get $count))))
    (if (i32.ge_u (local.get $base) (i32.const 2))
      (then (return (call $read_text (local.get $here) (local.get $end) (local.get $base)))))
    (if (i64.gt_u (local.get $count) (i64.const 8)) (then (return (i32.const 0))))
    (global.set $taken (i32.wrap_i64 (local.get $count)))
    (if (local.get $base)
      (then
        (block $done
          (loop $next
            (br_if $done (i32.le_u (local.get $end) (local.get $here)))
            (local.set $end (i32.sub (local.get $end) (i32.const 1)))
            (local.set $value (i64.or (i64.shl (local.get $value) (i64.const 8)) (i64.load8_u (local.get $end))))
            (br $next))))
      (else
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $here) (local.get $end)))
            (local.set $value (i64.or (i64.shl (local.get $value) (i64.const 8)) (i64.load8_u (local.get $here))))
            (local.set $here (i32.add (local.get $here) (i32.const 1)))
            (br $next)))))
    (global.set $value (local.get $value))
    (i32.const 1))

  ;; A byte, or -1 at the end.
  (func $at (param $here i32) (param $end i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $here) (local.get $end))
      (then (i32.load8_u (local.get $here)))
      (else (i32.const -1))))

  ;; What a digit counts in a base, or -1.
  (func $digit (param $byte i32) (param $base i32) (result i32)
    (local $value i32)
    (local.set $value (i32.sub (local.get $byte) (i32.const 48)))
    (if (i32.ge_u (local.get $value) (i32.const 10))
      (then
        ;; Letters, in either case.
        (local.set $value (i32.sub (i32.or (local.get $byte) (i32.const 32)) (i32.const 97)))
        (if (i32.ge_u (local.get $value) (i32.const 26)) (then (return (i32.const -1))))
        (local.set $value (i32.add (local.get $value) (i32.const 10)))))
    (select (local.get $value) (i32.const -1) (i32.lt_u (local.get $value) (local.get $base))))

  ;; As C's `strtoull`: white space, a sign, `0x` before hexadecimal digits, then digits.
  (func $read_text (param $here i32) (param $end i32) (param $which i32) (result i32)
    (local $begin i32) (local $negative i32) (local $hex i32) (local $base i32) (local $byte i32) (local $first i32)
    (local $value i64) (local $next i64) (local $most i64)
    (if (i32.ge_u (local.get $which) (i32.const 6)) (then (return (i32.const 0))))
    (if (i32.gt_u (i32.sub (local.get $end) (local.get $here)) (i32.const 23)) (then (return (i32.const 0))))
    (local.set $begin (local.get $here))
    (block $done
      (loop $space
        (local.set $byte (call $at (local.get $here) (local.get $end)))
        (br_if $done (i32.eqz (i32.or (i32.eq (local.get $byte) (i32.const 32))
          (i32.lt_u (i32.sub (local.get $byte) (i32.const 9)) (i32.const 5)))))
        (local.set $here (i32.add (local.get $here) (i32.const 1)))
        (br $space)))
    (local.set $negative (i32.eq (local.get $byte) (i32.const 45)))
    (if (i32.or (local.get $negative) (i32.eq (local.get $byte) (i32.const 43)))
      (then
        (local.set $here (i32.add (local.get $here) (i32.const 1)))
        (local.set $byte (call $at (local.get $here) (local.get $end)))))
    (if (i32.and (i32.eq (local.get $byte) (i32.const 48))
          (i32.eq (i32.or (call $at (i32.add (local.get $here) (i32.const 1)) (local.get $end)) (i32.const 32)) (i32.const 120)))
      (then
        (local.set $hex (i32.ne (i32.const -1)
          (call $digit (call $at (i32.add (local.get $here) (i32.const 2)) (local.get $end)) (i32.const 16))))))
    (local.set $base (i32.const 10))
    (if (i32.eq (local.get $which) (i32.const 3)) (then (local.set $base (i32.const 16))))
    (if (i32.eq (local.get $which) (i32.const 4)) (then (local.set $base (i32.const 8))))
    (if (i32.eq (local.get $which) (i32.const 5))
      (then
        (if (local.get $hex)
          (then (local.set $base (i32.const 16)))
          (else (if (i32.eq (local.get $byte) (i32.const 48)) (then (local.set $base (i32.const 8))))))))
    (if (i32.and (i32.eq (local.get $base) (i32.const 16)) (local.get $hex))
      (then (local.set $here (i32.add (local.get $here) (i32.const 2)))))
    (local.set $first (local.get $here))
    (local.set $most (i64.div_u (i64.const -1) (i64.extend_i32_u (local.get $base))))
    (block $done
      (loop $digits
        (local.set $byte (call $digit (call $at (local.get $here) (local.get $end)) (local.get $base)))
        (br_if $done (i32.lt_s (local.get $byte) (i32.const 0)))
        ;; What does not fit 64 bits is no number.
        (if (i64.gt_u (local.get $value) (local.get $most)) (then (return (i32.const 0))))
        (local.set $next (i64.mul (local.get $value) (i64.extend_i32_u (local.get $base))))
        (local.set $value (i64.add (local.get $next) (i64.extend_i32_u (local.get $byte))))
        (if (i64.lt_u (local.get $value) (local.get $next)) (then (return (i32.const 0))))
        (local.set $here (i32.add (local.get $here) (i32.const 1)))
        (br $digits)))
    (if (i32.eq (local.get $here) (local.get $first)) (then (return (i32.const 0))))
    (if (local.get $negative) (then (local.set $value (i64.sub (i64.const 0) (local.get $value)))))
    (global.set $value (local.get $value))
    (global.set $taken (i32.sub (local.get $here) (local.get $begin)))
    (i32.const 1))

  ;; Up to a multiple of `to`; as it is where `to` is 0.
  (func $align (param $value i64) (param $to i64) (result i64)
    (local $over i64)
    (if (i64.eqz (local.get $to)) (then (return (local.get $value))))
    (local.set $over (i64.rem_u (local.get $value) (local.get $to)))
    (if (i64.eqz (local.get $over)) (then (return (local.get $value))))
    (i64.add (local.get $value) (i64.sub (local.get $to) (local.get $over))))
)
