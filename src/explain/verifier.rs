//! Lines of a verifier log: what they mean, why the kernel refuses, what to do.

/// One kind of message. `{}` in the pattern stands for any text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message, as `kernel/bpf/verifier.c` words it.
    pub pattern: &'static str,
    /// What it says about the program.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Where the kernel says it.
    pub source: &'static str,
}

const fn row(
    pattern: &'static str,
    cause: &'static str,
    fix: &'static str,
    source: &'static str,
) -> Message {
    Message {
        pattern,
        cause,
        fix,
        source,
    }
}

/// The messages, the more particular before the more general.
#[rustfmt::skip]
pub const VERIFIER: &[Message] = &[
    // Loops by may_goto.
    row("invalid may_goto imm {}", "a may_goto with fields that it does not use", "let an assembler write it: `may_goto LABEL`", "kernel/bpf/verifier.c: check_cond_jmp_op"),
    // Tail calls.
    row("tail_calls are not allowed when call stack of previous frames is {} bytes{}", "a function that makes a tail call is called by functions that use 256 bytes of stack or more", "use less stack in the callers, or make the tail call in the main program", "kernel/bpf/verifier.c: check_max_stack_depth_subprog"),
    row("tail_call would lead to reference leak", "a tail call does not come back, and something (ring record, socket) is still held", "give it back before the tail call", "kernel/bpf/verifier.c: check_resource_leak"),
    // Registers.
    row("R{} !read_ok", "a register is read that holds nothing: it was never written, or a call wiped it out (calls keep only r6 to r9; r0 has the result)", "write the register first; keep what must survive a call in r6 to r9 or on the stack", "kernel/bpf/verifier.c: check_reg_arg"),
    row("frame pointer is read only", "r10 is written to", "copy r10 to another register and change the copy", "kernel/bpf/verifier.c: check_reg_arg"),
    row("R{} is invalid", "a register above r10", "use r0 to r10", "kernel/bpf/verifier.c: check_reg_arg"),
    row("R{} leaks addr into {}", "a kernel address would be stored where user space can read it", "store a number that does not derive from the pointer, or run with CAP_PERFMON", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} leaks addr as return value", "r0 holds a kernel address at exit", "put a number into r0 before exit", "kernel/bpf/verifier.c: check_return_code"),
    row("At program exit the register R{} has {}", "the program may return a number that its type does not allow", "bring r0 into the range named, most often with `r0 = 0`", "kernel/bpf/verifier.c: check_return_code"),
    // Null pointers and scalars as pointers.
    row("R{} invalid mem access 'map_value_or_null'", "the result of a map lookup is used without a test; the key may not be there", "compare the pointer with 0 and use it only where it is not: `if r0 == 0 goto out`", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} invalid mem access 'ringbuf_mem_or_null'", "a reserved record is used without a test; the ring may be full", "compare the pointer with 0 and use it only where it is not", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} invalid mem access '{}_or_null'", "a pointer that may be 0 is used without a test", "compare it with 0 and use it only where it is not", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} invalid mem access 'scalar'", "a number is used as an address: it was read from memory, computed, or is a pointer of the traced program", "read foreign memory with bpf_probe_read_user or bpf_probe_read_kernel", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} invalid mem access 'inv'", "a number is used as an address (kernels before 5.18 say `inv` for `scalar`)", "read foreign memory with bpf_probe_read_user or bpf_probe_read_kernel", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} invalid mem access 'map_ptr'", "a map itself is used as memory; its elements are behind a lookup", "call bpf_map_lookup_elem and use its result", "kernel/bpf/verifier.c: check_mem_access"),
    row("only read from {} is supported", "a kernel structure is written to", "use the helper that changes what you want to change", "kernel/bpf/verifier.c: check_ptr_to_map_access"),
    row("R{} invalid mem access '{}'", "this kind of pointer cannot be used for memory access", "look at the register's type in the line above the message", "kernel/bpf/verifier.c: check_mem_access"),
    row("Possibly NULL pointer passed to {} arg{}", "a pointer that may be 0 goes to a function that does not take 0", "compare it with 0 first", "kernel/bpf/verifier.c: check_func_arg"),
    // Bounds.
    row("invalid access to map value, value_size={} off={} size={}", "an access reaches outside the map's value", "bring the offset into 0..=value_size-size with a test the verifier sees, or make the value larger", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("invalid access to map value pointer, value_size={} off={}", "a wide immediate points outside the map's value", "use an offset below value_size", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("invalid access to map key, key_size={} off={} size={}", "an access reaches outside the map's key", "bring the offset into the key", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("invalid access to packet, off={} size={}", "an access to the packet that no comparison with the packet's end allows", "compare pointer plus size with data_end and leave if it is greater", "kernel/bpf/verifier.c: check_packet_access"),
    row("R{} offset is outside of the packet", "an access to the packet before any comparison with its end", "compare pointer plus size with data_end first", "kernel/bpf/verifier.c: check_packet_access"),
    row("call to invalid destination", "a call goes to no instruction of the program", "call a label; distances count slots from the next instruction", "kernel/bpf/verifier.c: add_subprog"),
    row("at the time of BPF_LD_ABS|IND R6 != pointer to skb", "the loads of old take the packet's context from r6, which holds something else", "`r6 = r1` at the program's begin", "kernel/bpf/verifier.c: check_ld_abs"),
    row("invalid access to memory, mem_size={} off={} size={}", "an access reaches outside its memory", "bring offset and size into the memory's bounds", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("R{} unbounded memory access, make sure to bounds check any such access", "an offset or length has no upper bound that the verifier knows", "compare it with a constant, or mask it (`r1 &= 63`), right before the use and in the same register", "kernel/bpf/verifier.c: check_mem_size_reg"),
    row("R{} unbounded memory access, use 'var &= const' or 'if (var < const)'", "a length has no upper bound that the verifier knows", "compare it with a constant, or mask it (`r2 &= 63`), right before the call and in the same register", "kernel/bpf/verifier.c: check_mem_size_reg"),
    row("R{} is not a known constant{}", "an argument must be the same constant on every path", "put the number into the register right before the call", "kernel/bpf/verifier.c: check_helper_call"),
    row("invalid BPF_LD_IMM insn", "a wide immediate is cut, or its second slot is not all zero but for `imm`", "give both slots; assemblers do that for `lddw` and ` ll`", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("tail_call is only allowed in {}", "a tail call from a function of the program that cannot have one", "call bpf_tail_call in the main program", "kernel/bpf/verifier.c: check_max_stack_depth_subprog"),
    row("arg#{} reference type({}) size cannot be determined{}", "a global function takes a pointer whose type says no size", "declare the function static, or give the argument a sized type", "kernel/bpf/btf.c: btf_prepare_func_args"),
    row("addr_space_cast insn can only convert between address space 1 and 0", "the cast has other address spaces, and programs have two: 0 for the kernel and 1 for an arena", "cast from 1 to 0 or from 0 to 1", "kernel/bpf/verifier.c: check_alu_op"),
    row("addr_space_cast insn{}", "the program has no arena whose addresses could be cast", "load the arena's map before", "kernel/bpf/verifier.c: check_alu_op"),
    row("reference has not been acquired before{}", "a record or other reference is given back that the program does not hold: given back already, or never taken", "give each reference back once, on every path", "kernel/bpf/verifier.c: release_reference"),
    row("verifier bug: {}", "the verifier met a state that it thinks impossible: not the program's fault", "report it to bpf@vger.kernel.org with the program; another way of writing it may go round it", "kernel/bpf/verifier.c: verifier_bug"),
    row("R{} min value is negative, either use unsigned {}", "an offset or length may be negative", "use unsigned comparisons or mask the value (`r1 &= const`)", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("R{} min value is outside of the allowed memory range", "the smallest possible offset already reaches outside the memory", "check the offset against the size of what the pointer came from", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("R{} max value is outside of the allowed memory range", "the largest possible offset reaches outside the memory", "narrow the value down: compare it with a constant, or mask it", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("R{} max value is outside of the array range", "the largest possible offset reaches outside the array", "narrow the value down: compare it with a constant, or mask it", "kernel/bpf/verifier.c: check_mem_region_access"),
    row("R{} invalid zero-sized read{}", "a length may be 0 where at least 1 is wanted", "leave before the call if the length is 0", "kernel/bpf/verifier.c: check_stack_range_initialized"),
    row("invalid zero-sized read{}", "a length may be 0 where at least 1 is wanted", "leave before the call if the length is 0", "kernel/bpf/verifier.c: check_stack_range_initialized"),
    row("invalid bpf_context access off={} size={}", "the context has no field at that offset and size for this program type, or it may not be written", "look up the context's layout: struct pt_regs, the tracepoint's format, and use that size", "kernel/bpf/verifier.c: check_ctx_access"),
    row("negative offset {} ptr R{} off={} disallowed", "a pointer that must be used as it came was moved to before its begin", "use the pointer as it came", "kernel/bpf/verifier.c: __check_ptr_off_reg"),
    row("dereference of modified {} ptr R{} off={} disallowed", "the context pointer was changed before the access", "use the pointer as it came and put the offset into the access", "kernel/bpf/verifier.c: __check_ptr_off_reg"),
    row("R{} is {} invalid negative access: off={}", "an access before the begin of a kernel structure", "use an offset that the structure has", "kernel/bpf/verifier.c: check_ptr_to_btf_access, check_ptr_to_map_access"),
    row("access beyond struct {} at off {} size {}", "an access reaches outside a kernel structure", "check the offset against the running kernel's BTF", "kernel/bpf/btf.c: btf_struct_walk"),
    row("misaligned {}access off {}", "an access is not at a multiple of its size", "align it, or go by smaller pieces", "kernel/bpf/verifier.c: check_ptr_alignment"),
    row("write into map forbidden, value_size={} off={} size={}", "the map is read-only for programs", "create it without BPF_F_RDONLY_PROG, or do not write", "kernel/bpf/verifier.c: check_map_access_type"),
    row("write into map forbidden", "a helper would change a map that programs may only read (BPF_F_RDONLY_PROG)", "create it without that flag, or change it from user space", "kernel/bpf/verifier.c: record_func_map"),
    row("read from map forbidden, value_size={} off={} size={}", "the map is write-only for programs", "create it without BPF_F_WRONLY_PROG, or do not read", "kernel/bpf/verifier.c: check_map_access_type"),
    row("R{} tried to subtract pointer from scalar", "a pointer is taken from a number", "subtract the number from the pointer", "kernel/bpf/verifier.c: adjust_ptr_min_max_vals"),
    row("variable {} access var_off={} disallowed", "this kind of pointer must be used as it came, without an offset that varies", "put a constant offset into the access", "kernel/bpf/verifier.c: __check_ptr_off_reg"),
    row("write to change key R{} not allowed", "the key that a callback gets is read-only", "copy it to the stack and change the copy", "kernel/bpf/verifier.c: check_mem_access"),
    row("cannot write into packet", "this program type may not change packets", "use another program type, or a helper", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} invalid sock_common access off={} size={}", "a socket that may be of any state has no such field, or not in that size", "see struct bpf_sock; bpf_sk_fullsock gives a socket with all of its fields", "kernel/bpf/verifier.c: check_sock_access"),
    row("R{} invalid sock access off={} size={}", "a socket has no such field, or not in that size", "see struct bpf_sock in include/uapi/linux/bpf.h", "kernel/bpf/verifier.c: check_sock_access"),
    row("R{} invalid tcp_sock access off={} size={}", "the TCP state of a socket has no such field, or not in that size", "see struct bpf_tcp_sock in include/uapi/linux/bpf.h", "kernel/bpf/verifier.c: check_sock_access"),
    row("R{} cannot write into {}", "a store goes to memory that programs may only read", "copy it to the stack and change that", "kernel/bpf/verifier.c: check_mem_access"),
    row("R{} must be referenced when passed to release function", "something is given back that the program did not take itself", "release only what a lookup or an acquiring call gave", "kernel/bpf/verifier.c: check_func_arg"),
    row("BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region", "preemption, turned off by the program, is not turned on again on some path", "call bpf_preempt_enable on every path", "kernel/bpf/verifier.c: check_resource_leak"),
    row("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region", "an RCU section is not ended on some path", "call bpf_rcu_read_unlock on every path", "kernel/bpf/verifier.c: check_resource_leak"),
    row("nested rcu read lock (kernel function {})", "an RCU section begins inside another", "end the first one before, or leave the second out", "kernel/bpf/verifier.c: check_kfunc_call"),
    row("unmatched rcu read unlock (kernel function {})", "an RCU section ends that was not begun on this path", "call bpf_rcu_read_lock first", "kernel/bpf/verifier.c: check_kfunc_call"),
    row("unmatched attempt to enable preemption (kernel function {})", "preemption is turned on that was not turned off on this path", "call bpf_preempt_disable first", "kernel/bpf/verifier.c: check_kfunc_call"),
    row("sleepable helper {} in rcu_read_lock region", "a helper that may sleep is called inside an RCU section", "call it before the section or after it", "kernel/bpf/verifier.c: check_helper_call"),
    row("Dynptr has to be an uninitialized dynptr", "a dynamic pointer is made where another one lives, or not at a multiple of 8 below the frame pointer", "use another place of the stack", "kernel/bpf/verifier.c: process_dynptr_func"),
    row("Expected an initialized dynptr as arg #{}", "a call takes a dynamic pointer, and there is none: never made, given back, or written over", "make it first, on every path", "kernel/bpf/verifier.c: process_dynptr_func"),
    row("Expected a dynptr of type {} as arg #{}", "a dynamic pointer points to memory of another kind than the call takes", "submit and discard take those of bpf_ringbuf_reserve_dynptr", "kernel/bpf/verifier.c: process_dynptr_func"),
    row("cannot overwrite referenced dynptr", "a store goes over a dynamic pointer that holds a record", "submit or discard it first", "kernel/bpf/verifier.c: destroy_if_dynptr_stack_slot"),
    row("potential write to dynptr at off={} disallowed", "a helper would write over a dynamic pointer", "give the helper another place of the stack", "kernel/bpf/verifier.c: check_stack_range_initialized"),
    row("Unsupported reg type {} for bpf_dynptr_from_mem data", "a dynamic pointer can be made to a map's value alone", "use a map's value", "kernel/bpf/verifier.c: check_helper_call"),
    row("R{} is not a scalar", "a kernel function takes a number, and the register holds a pointer", "put a number into it", "kernel/bpf/verifier.c: check_kfunc_args"),
    row("arg {} is an unacquired reference", "a call gives back what was not taken, or a dynamic pointer without a record", "give back what an acquiring call gave", "kernel/bpf/verifier.c: check_func_arg"),
    row("arg#{} expected pointer to an iterator on stack", "an iterator lives on the stack, and the argument points elsewhere", "pass the address of 8-byte aligned stack", "kernel/bpf/verifier.c: process_iter_arg"),
    row("arg#{} expected pointer to ctx, but got {}", "the kernel function takes the program's context", "keep the context in a register and pass it", "kernel/bpf/verifier.c: check_kfunc_args"),
    row("arg#{} expected pointer to stack or const struct bpf_dynptr", "a dynamic pointer lives on the stack, and the argument points elsewhere", "pass its address on the stack", "kernel/bpf/verifier.c: check_kfunc_args"),
    row("arg#{} pointer type {} must point to {}", "the kernel function takes a structure of the kernel that can be trusted, and gets a pointer to something else", "pass what an acquiring call gave, after a comparison with 0", "kernel/bpf/verifier.c: check_kfunc_args"),
    row("bpf_obj_new/bpf_percpu_obj_new requires prog BTF", "objects are made of a type of the program, which has to be in its BTF", "make the program with clang and load its object", "kernel/bpf/verifier.c: check_kfunc_call"),
    row("expected an initialized iter_{} as arg #{}", "a call takes an iterator, and there is none: never begun, ended, or written over", "begin it first, on every path", "kernel/bpf/verifier.c: process_iter_arg"),
    row("expected uninitialized iter_{} as arg #{}", "an iterator is begun where one lives, or not at a multiple of 8", "end the first one, or use another place of the stack", "kernel/bpf/verifier.c: process_iter_arg"),
    row("kernel function {} args#{} expected pointer to {} but R{} has a pointer to {}", "the kernel function takes another structure", "pass the one that its name says", "kernel/bpf/verifier.c: process_kf_arg_ptr_to_btf_id"),
    row("release kernel function {} expects refcounted PTR_TO_BTF_ID", "a call gives back what the program did not take itself", "give back what an acquiring call gave", "kernel/bpf/verifier.c: check_kfunc_args"),
    row("tail_call is not allowed in subprogs without BTF", "a function of the program makes a tail call, and the verifier has no BTF to see that it returns a number", "load the program with BTF that describes its functions, or make the tail call in the program itself", "kernel/bpf/verifier.c: check_subprogs"),
    row("local type ID argument must be in range [0, U32_MAX]", "objects are made of a type of the program, whose BTF id has to be a constant", "make the program with clang, which puts the id there", "kernel/bpf/verifier.c: check_kfunc_call"),
    row("helper access to the packet is not allowed", "this helper does not take pointers into the packet", "copy the bytes to the stack first", "kernel/bpf/verifier.c: check_helper_mem_access"),
    // Stack.
    row("invalid variable-offset {}stack R{} {}", "a stack access at an offset that varies too much, or by a program that may not do that", "bound the offset so that every byte lies inside the frame", "kernel/bpf/verifier.c: check_stack_access_within_bounds"),
    row("invalid read from stack {}off {}+{} size {}", "stack bytes are read that were never written", "write all of them first; padding between fields counts", "kernel/bpf/verifier.c: check_stack_read_fixed_off"),
    row("invalid read from stack R{} off={} size={}", "an access reaches outside the frame of 512 bytes below r10", "use offsets -512 to -1 from r10, and the right size", "kernel/bpf/verifier.c: check_stack_access_within_bounds"),
    row("invalid indirect read from stack {}", "a helper would read stack bytes that were never written", "write all of them first; padding between fields counts", "kernel/bpf/verifier.c: check_stack_range_initialized"),
    row("invalid {} to stack R{} off={} size={}", "an access reaches outside the frame of 512 bytes below r10", "use offsets -512 to -1 from r10, and the right size", "kernel/bpf/verifier.c: check_stack_access_within_bounds"),
    row("invalid stack {}off={} size={}", "an access reaches outside the frame of 512 bytes below r10", "use offsets -512 to -1 from r10, and the right size", "kernel/bpf/verifier.c: check_stack_access_within_bounds"),
    row("combined stack size of {} calls is {}", "the frames of nested functions together take more than 512 bytes", "keep big buffers in a per-CPU array map", "kernel/bpf/verifier.c: check_max_stack_depth"),
    row("attempt to corrupt spilled pointer on stack", "a part of a pointer saved on the stack is overwritten", "save the pointer elsewhere or overwrite all 8 bytes", "kernel/bpf/verifier.c: check_stack_write_fixed_off"),
    row("corrupted spill memory", "a pointer saved on the stack is read in part or after being overwritten", "read all 8 bytes of what was saved", "kernel/bpf/verifier.c: check_stack_read_fixed_off"),
    row("invalid size of register {}", "a pointer is saved to the stack, or read back, in less than 8 bytes", "save and read pointers whole, at multiples of 8", "kernel/bpf/verifier.c: check_stack_write_fixed_off, check_stack_read_fixed_off"),
    // Pointer arithmetic.
    row("R{} pointer arithmetic with {} operator prohibited", "a pointer is multiplied, divided or shifted", "work on the offset before it is added", "kernel/bpf/verifier.c: adjust_ptr_min_max_vals"),
    row("R{} pointer arithmetic on {} prohibited", "this kind of pointer may not be added to; one that may be 0 must be tested first", "test it with 0 first, or put a constant offset into the access", "kernel/bpf/verifier.c: adjust_ptr_min_max_vals"),
    row("R{} 32-bit pointer arithmetic prohibited", "a pointer is changed by a 32-bit operation, which cuts it", "use the 64-bit operation", "kernel/bpf/verifier.c: adjust_ptr_min_max_vals"),
    row("R{} bitwise operator {} on pointer prohibited", "a pointer is masked or shifted", "work on the offset before it is added", "kernel/bpf/verifier.c: adjust_ptr_min_max_vals"),
    row("R{} pointer {} pointer prohibited", "two pointers are combined", "add a number to a pointer", "kernel/bpf/verifier.c: adjust_reg_min_max_vals"),
    row("R{} subtraction from stack pointer prohibited", "a register is subtracted from a stack pointer", "add a negative constant instead", "kernel/bpf/verifier.c: adjust_ptr_min_max_vals"),
    row("R{} pointer comparison prohibited", "a pointer is compared with something other than 0 or its like", "compare offsets, or compare with 0", "kernel/bpf/verifier.c: check_cond_jmp_op"),
    row("R{} partial copy of pointer", "a 32-bit move of a pointer", "use the 64-bit move", "kernel/bpf/verifier.c: check_alu_op"),
    row("math between {} pointer and register with unbounded min value is not allowed", "a number without a lower bound is added to a pointer", "give it bounds first: compare it with constants, or mask it", "kernel/bpf/verifier.c: check_reg_sane_offset"),
    row("math between {} pointer and {} is not allowed", "the constant takes the pointer out of what can be tracked", "use a smaller offset", "kernel/bpf/verifier.c: check_reg_sane_offset"),
    row("value {} makes {} pointer be out of bounds", "the sum leaves the range of +-2^29 that is tracked", "bound the number before it is added", "kernel/bpf/verifier.c: check_reg_sane_offset"),
    // Calls.
    row("R{} type={} expected={}", "an argument is of another kind than the helper takes", "see `explain` for the helper: it lists what each register must hold", "kernel/bpf/verifier.c: check_reg_type"),
    row("program of this type cannot use helper {}", "the helper exists but not for this program type (or this attach type)", "use another helper or program type; `explain` for the helper lists the types", "kernel/bpf/verifier.c: check_helper_call"),
    row("unknown func {}", "this kernel has no such helper, or not for this program type", "check the helper's first kernel with `explain`", "kernel/bpf/verifier.c: check_helper_call"),
    row("invalid func {}", "no helper has this number", "see include/uapi/linux/bpf.h for the numbers", "kernel/bpf/verifier.c: check_helper_call"),
    row("cannot call GPL-restricted function from non-GPL compatible program", "the helper is for programs under a GPL-compatible licence", "load with the licence \"Dual MIT/GPL\" or \"GPL\"", "kernel/bpf/verifier.c: check_helper_call"),
    row("helper call might sleep in a non-sleepable prog", "the helper may fault pages in, which this program must not wait for", "load with BPF_F_SLEEPABLE where the attach point allows it, or use bpf_probe_read_user", "kernel/bpf/verifier.c: check_helper_call"),
    row("cannot pass map_type {} into func {}", "the helper does not work on this type of map", "use the helper for this map type, or another map type", "kernel/bpf/verifier.c: check_map_func_compatibility"),
    row("calling kernel function {} is not allowed", "the kernel function is not open to this program type", "use a helper, or a program type it is registered for", "kernel/bpf/verifier.c: fetch_kfunc_meta"),
    row("R{} must be a known constant", "the argument must be a constant", "put a constant into the register right before the call", "kernel/bpf/verifier.c: check_func_arg"),
    row("callback function not static", "a callback needs BTF of a static function", "give the function BTF with static linkage", "kernel/bpf/verifier.c: check_ld_imm"),
    row("the call stack of {} frames is too deep", "functions call each other more than 8 deep", "call less deep", "kernel/bpf/verifier.c: check_func_call"),
    row("tail_calls are not allowed in non-JITed programs with bpf-to-bpf calls", "tail calls together with functions need the JIT", "switch on net.core.bpf_jit_enable, or leave one out", "kernel/bpf/verifier.c: fixup_call_args"),
    row("function calls are not allowed while holding a lock", "a call between bpf_spin_lock and bpf_spin_unlock", "do the call before or after", "kernel/bpf/verifier.c: check_func_call"),
    // References.
    row("Unreleased reference id={} alloc_insn={}", "what a helper gave (ring record, socket) is not given back on some path", "submit or discard the record, release the socket, on every path to exit; the instruction named took it", "kernel/bpf/verifier.c: check_reference_leak"),
    row("BPF_EXIT instruction {} would lead to reference leak", "what a helper gave (ring record, socket) is not given back on some path", "submit or discard the record, release the socket, on every path to exit", "kernel/bpf/verifier.c: check_reference_leak"),
    row("release helper {} expects referenced PTR_TO_BTF_ID passed to {}", "what is released was not acquired", "pass the pointer the acquiring helper gave, unchanged", "kernel/bpf/verifier.c: check_release_regno"),
    row("BPF_EXIT instruction {} cannot be used inside bpf_spin_lock-ed region", "the program ends while it holds a lock", "unlock on every path", "kernel/bpf/verifier.c: check_resource_leak"),
    row("{} would lead to reference leak", "what a helper gave (ring record, socket) is still held there", "submit or discard the record, release the socket, before", "kernel/bpf/verifier.c: check_resource_leak"),
    // Control flow.
    row("recursive call{}", "a function calls itself, directly or through others; the stack of frames is fixed", "write a loop, or bpf_loop", "kernel/bpf/verifier.c: check_max_stack_depth_subprog"),
    row("no program starts at insn {}", "a call leads to a place that is no function's first instruction", "check the distance: it counts slots from the next instruction", "kernel/bpf/verifier.c: find_subprog"),
    row("insn {} cannot be patched due to 16-bit range", "the verifier puts instructions in, and a jump over them gets too far", "split the program into functions, or use gotol", "kernel/bpf/verifier.c: bpf_patch_insn_data"),
    row("unreachable insn {}", "no path leads to the instruction", "remove it, or jump to it", "kernel/bpf/verifier.c: check_cfg"),
    row("last insn is not an exit or jmp", "execution would run past the end of the program or of a function", "end every function with `exit` or a jump", "kernel/bpf/verifier.c: check_subprogs"),
    row("jump out of range from insn {} to {}", "a jump leaves the program or its function", "check the distance: it counts slots from the next instruction", "kernel/bpf/verifier.c: check_subprogs"),
    row("jump into the middle of ldimm64 insn {}", "a jump lands on the second slot of a wide immediate", "wide immediates take two slots: count them as two", "kernel/bpf/verifier.c: check_cfg"),
    row("back-edge from insn {} to {}", "a loop, which kernels before 5.3 and callers without CAP_BPF may not have", "unroll the loop, or load with CAP_BPF", "kernel/bpf/verifier.c: push_insn"),
    row("infinite loop detected at insn {}", "a loop comes round with nothing changed that the verifier knows of", "count with a register that has a constant bound, or use bpf_loop", "kernel/bpf/verifier.c: is_state_visited"),
    row("BPF program is too large. Processed {} insn", "more than 1,000,000 instructions were walked through on all paths together", "fewer branches inside loops; bpf_loop or functions for loop bodies", "kernel/bpf/verifier.c: do_check"),
    row("The sequence of {} jumps is too complex", "more than 8192 branches wait to be walked through", "fewer branches; split into functions", "kernel/bpf/verifier.c: push_stack"),
    // Encoding.
    row("invalid BPF_{} opcode {}", "this kernel has no such operation in that class", "check its first kernel with `explain`", "kernel/bpf/verifier.c: check_alu_op, do_check_insn"),
    row("unknown insn class {}", "the low three bits of the code byte select nothing", "let an assembler write the code", "kernel/bpf/verifier.c: do_check_insn"),
    row("BPF_ATOMIC uses invalid atomic opcode {}", "the immediate selects no atomic operation", "RFC 9669 §5.3 lists them", "kernel/bpf/verifier.c: check_atomic"),
    row("invalid atomic operand size", "atomics are for 4 and 8 bytes", "use a 32- or 64-bit operation", "kernel/bpf/verifier.c: check_atomic_rmw"),
    row("unknown opcode {}", "this kernel does not have the instruction", "check its first kernel with `explain`", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("unrecognized bpf_ld_imm64 insn", "the wide immediate's pseudo source is not known to this kernel", "see RFC 9669 §5.4 for the sources", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("invalid bpf_ld_imm64 insn", "the second slot of a wide immediate is missing or not empty", "let an assembler write both slots", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("{} uses reserved fields", "a field that the instruction does not use is not zero", "set it to zero; `disasm` names the field", "kernel/bpf/verifier.c: do_check"),
    row("div by zero", "a constant divisor of 0", "divide by something else; a register of 0 gives 0", "kernel/bpf/verifier.c: check_alu_op"),
    row("invalid shift {}", "a constant shift by as much as the width or more", "shift by 0 to 31 or 63", "kernel/bpf/verifier.c: check_alu_op"),
    row("BPF_ATOMIC {} into R{} {} is not allowed", "this kind of memory cannot be changed atomically", "use map or stack memory", "kernel/bpf/verifier.c: check_atomic_rmw"),
    row("BPF_LD_[ABS|IND] instructions {}", "packet loads are for socket filters and classifiers, and not where functions or locks forbid them", "use direct packet access or bpf_skb_load_bytes", "kernel/bpf/verifier.c: check_ld_abs"),
    // Maps and objects.
    row("Sleepable programs can only use {} maps", "this kind of map may go away under a program that sleeps", "use another kind, or load the program without BPF_F_SLEEPABLE", "kernel/bpf/verifier.c: check_map_prog_compatibility"),
    row("fd {} is not pointing to valid bpf_map", "the map's file descriptor is not a map's", "create the map before the program and put its descriptor in", "kernel/bpf/verifier.c: add_used_map"),
    row("fd_idx without fd_array is invalid", "a map by index, but no array of descriptors was given at load", "give fd_array at load, or put descriptors in (source 1)", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("no direct value access support for this map type", "addresses inside a value exist for array maps with one element", "look the element up, or use an array map", "kernel/bpf/verifier.c: resolve_pseudo_ldimm64"),
    row("pseudo btf_id {} in ldimm64 isn't {}", "the BTF id is not that of a variable", "look the id up in the running kernel's BTF", "kernel/bpf/verifier.c: __check_pseudo_btf_id"),
    row("kernel btf_id {} is not a function", "a call names a BTF id that is no function", "look the id up in the running kernel's BTF; ids differ between kernels", "kernel/bpf/verifier.c: add_kfunc_call"),
];

/// Whether a line holds the pattern's pieces, in their order.
fn holds(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    for piece in pattern.split("{}") {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

/// Lines of a log that refuse nothing: what they tell.
#[rustfmt::skip]
const LOG: &[(&str, &str)] = &[
    ("processed {} insns (limit {}", "the verifier's account. It walked through so many instructions on all paths together, of 1,000,000 that it may. max_states_per_insn, total_states, peak_states: states kept to compare later paths with. A number far above the program's length means branches inside loops"),
    ("verification time {} usec", "how long the verifier took"),
    ("stack depth {}", "bytes of stack, of 512: the main program's, then those of its functions, with + between"),
    ("from {} to {}: safe", "the path that jumped from the first instruction to the second is covered by an earlier one, and is not walked again"),
    ("from {} to {}:", "the walk goes on at the second instruction, to which the first jumps; what is known there follows: registers (`R1=ctx()`), stack (`fp-8=...`), `?` for not yet looked at"),
    ("mark_precise: {}", "the verifier goes back to find out where a number came from whose exact value decides something: from here on it keeps it exactly, which makes fewer paths alike"),
    ("func#{} @{}", "a function of the program, and the instruction that it begins at"),
    ("{}R10=fp0", "what is known at this place. `scalar(...)` is a number with its bounds (umin, umax, smin, smax; var_off=(value; mask) says which bits are known), `ctx()` the context, `map_value(...)` a pointer into a value, `fp-8` the stack below r10, `Pscalar` a number kept exactly"),
];

/// The row that a line of a verifier log belongs to.
pub fn message(line: &str) -> Option<&'static Message> {
    VERIFIER.iter().find(|row| holds(row.pattern, line))
}

/// What a line of a verifier log means and what to do; `None` if the table does not know it.
pub fn verifier(line: &str) -> Option<String> {
    let Some(row) = message(line) else {
        let (_, tells) = LOG.iter().find(|(pattern, _)| holds(pattern, line))?;
        return Some(format!(
            "{}\n\n  tells  {tells}\n  read   Documentation/bpf/verifier.rst\n",
            line.trim()
        ));
    };
    Some(format!(
        "{}\n\n  means  {}\n  fix    {}\n  read   {}\n",
        line.trim(),
        row.cause,
        row.fix,
        row.source
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_6_18_log_find_their_row() {
        for (line, pattern) in [
            (
                "R0 min value is outside of the allowed memory range",
                "R{} min value is outside of the allowed memory range",
            ),
            (
                "invalid read from stack R10 off=8 size=8",
                "invalid read from stack R{} off={} size={}",
            ),
            (
                "BPF_EXIT instruction in main prog would lead to reference leak",
                "BPF_EXIT instruction {} would lead to reference leak",
            ),
            (
                "only read from bpf_htab is supported",
                "only read from {} is supported",
            ),
            ("R2 !read_ok", "R{} !read_ok"),
            (
                "R0 invalid mem access 'map_value_or_null'",
                "R{} invalid mem access 'map_value_or_null'",
            ),
            (
                "R1 invalid mem access 'scalar'",
                "R{} invalid mem access 'scalar'",
            ),
            (
                "R3 invalid mem access 'sock_or_null'",
                "R{} invalid mem access '{}_or_null'",
            ),
            ("R1 type=ctx expected=map_ptr", "R{} type={} expected={}"),
            (
                "program of this type cannot use helper bpf_skb_load_bytes#26",
                "program of this type cannot use helper {}",
            ),
            (
                "cannot call GPL-restricted function from non-GPL compatible program",
                "cannot call GPL-restricted function from non-GPL compatible program",
            ),
            (
                "helper call might sleep in a non-sleepable prog",
                "helper call might sleep in a non-sleepable prog",
            ),
            ("unreachable insn 3", "unreachable insn {}"),
            (
                "last insn is not an exit or jmp",
                "last insn is not an exit or jmp",
            ),
            ("unknown opcode 0d", "unknown opcode {}"),
            (
                "fd 5 is not pointing to valid bpf_map",
                "fd {} is not pointing to valid bpf_map",
            ),
            (
                "invalid read from stack off -8+0 size 8",
                "invalid read from stack {}off {}+{} size {}",
            ),
            (
                "invalid read from stack R1 off -8+0 size 8",
                "invalid read from stack {}off {}+{} size {}",
            ),
            (
                "invalid write to stack R10 off=8 size=8",
                "invalid {} to stack R{} off={} size={}",
            ),
            (
                "invalid access to map value, value_size=8 off=8 size=8",
                "invalid access to map value, value_size={} off={} size={}",
            ),
            (
                "Unreleased reference id=2 alloc_insn=4",
                "Unreleased reference id={} alloc_insn={}",
            ),
            (
                "kernel btf_id 4321 is not a function",
                "kernel btf_id {} is not a function",
            ),
            (
                "14: R4 min value is negative, either use unsigned or 'var &= const'",
                "R{} min value is negative, either use unsigned {}",
            ),
        ] {
            assert_eq!(
                message(line).map(|row| row.pattern),
                Some(pattern),
                "{line}"
            );
            assert!(verifier(line).unwrap().starts_with(line));
        }
        assert_eq!(message("processed 7 insns (limit 1000000)"), None);
        assert_eq!(verifier(""), None);
        for line in [
            "processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
            "verification time 61 usec",
            "stack depth 8+0",
            "from 3 to 5: safe",
            "from 3 to 5: R0=0 R10=fp0",
            "mark_precise: frame0: last_idx 4 first_idx 0 subseq_idx -1",
            "0: R1=ctx() R10=fp0",
        ] {
            assert_eq!(message(line), None);
            assert!(verifier(line).unwrap().contains("  tells  "), "{line}");
        }
    }

    #[test]
    fn no_row_hides_another() {
        assert!(VERIFIER.len() >= 40);
        for row in VERIFIER {
            let sample = row.pattern.replace("{}", "x");
            assert_eq!(
                message(&sample).map(|found| found.pattern),
                Some(row.pattern)
            );
            assert!(row.source.starts_with("kernel/"));
        }
    }
}
