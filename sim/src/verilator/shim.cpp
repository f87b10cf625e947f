// The verilated core behind a C interface. One call runs many cycles; what happens in each is given beforehand.
// Compiled together with Verilator's output; `library.rs` is the other side of this interface.

#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "Vcore.h"
#include "verilated.h"
#if WEIR_TRACE == 1
#include "verilated_vcd_c.h"
using Trace = VerilatedVcdC;
#elif WEIR_TRACE == 2
#include "verilated_fst_c.h"
using Trace = VerilatedFstC;
#endif

// Verilator's ways to end the process become errors of the call.
void vl_fatal(const char* file, int line, const char*, const char* what) VL_MT_UNSAFE {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}
void vl_stop(const char* file, int line, const char* hier) VL_MT_UNSAFE {
    vl_fatal(file, line, hier, "$stop");
}
void vl_finish(const char* file, int line, const char* hier) VL_MT_UNSAFE {
    vl_fatal(file, line, hier, "$finish");
}

namespace {

constexpr uint64_t LANES = WEIR_LANES;
constexpr uint64_t UNIT = 64;

enum Until : uint32_t { UNTIL_OPS = 1, UNTIL_TAKEN = 2, UNTIL_OUTPUT = 4 };

enum Fault : uint32_t {
    FAULT_UNSTABLE = 1,   // the output was offered and then changed or withdrawn
    FAULT_KEEP = 2,       // an output beat with unused bytes
    FAULT_LAST = 4,       // tlast where no unit ends, or none where one does
    FAULT_WITHDRAWN = 8,  // a response was offered and then withdrawn
    FAULT_UNASKED = 16,   // a response to nothing
    FAULT_RESPONSE = 32,  // a response other than OKAY
};

struct Op {
    uint32_t write, address, value, strobe;
    // Cycles before the address, the data, and readiness for the response.
    uint32_t address_after, data_after, response_after;
};

struct Run {
    uint64_t cycles;
    const uint8_t* input;
    uint64_t input_bytes;
    // A bit a cycle: whether a beat may be offered, whether one may be taken. Null: always.
    const uint64_t* offer;
    const uint64_t* accept;
    uint8_t* output;
    uint64_t output_room;
    Op* ops;
    uint64_t op_count;
    uint32_t until;
    uint32_t faults;
    uint64_t ran, taken, made, ops_done, idle, stalls, out_stalls;
};

bool bit(const uint64_t* schedule, uint64_t cycle) {
    return schedule == nullptr || (schedule[cycle / 64] >> (cycle % 64) & 1);
}

struct Core {
    VerilatedContext context;
    std::unique_ptr<Vcore> top;
    std::string error;
    uint64_t cycle = 0;
    bool offering = false;
    // The output beat that was offered and not taken.
    bool held = false;
    uint8_t held_data[LANES];
    bool held_last = false;
    uint64_t unit_bytes = 0;
    // The access under way.
    uint64_t op_cycle = 0;
    bool address_done = false, data_done = false, response_held = false;
#if WEIR_TRACE
    std::unique_ptr<Trace> trace;
#endif

    explicit Core(uint64_t seed) {
        context.randReset(seed ? 2 : 0);
        context.randSeed(static_cast<int>(seed & 0x7fffffff));
#if WEIR_TRACE
        context.traceEverOn(true);
#endif
        top = std::make_unique<Vcore>(&context, "weir");
        quiet();
    }

    ~Core() {
#if WEIR_TRACE
        if (trace) trace->close();
#endif
        top->final();
    }

    void quiet() {
        top->s_axis_tvalid = 0;
        top->m_axis_tready = 0;
        top->s_axil_awvalid = top->s_axil_wvalid = top->s_axil_bready = 0;
        top->s_axil_arvalid = top->s_axil_rready = 0;
        top->s_axil_awprot = top->s_axil_arprot = 0;
        std::memset(&top->s_axis_tkeep, 0xff, LANES / 8);
    }

    void settle() {
        top->aclk = 0;
        top->eval();
        dump(0);
    }

    void tick() {
        top->aclk = 1;
        top->eval();
        dump(1);
        ++cycle;
    }

    void dump([[maybe_unused]] unsigned half) {
#if WEIR_TRACE
        if (trace) trace->dump(2 * cycle + half);
#endif
    }

    void reset(uint64_t cycles) {
        quiet();
        top->aresetn = 0;
        for (uint64_t i = 0; i < cycles; ++i) {
            settle();
            tick();
        }
        top->aresetn = 1;
        offering = held = address_done = data_done = response_held = false;
        unit_bytes = op_cycle = 0;
    }

    void drive_op(const Op* op) {
        const bool write = op && op->write;
        const bool read = op && !op->write;
        top->s_axil_awvalid = write && !address_done && op_cycle >= op->address_after;
        top->s_axil_wvalid = write && !data_done && op_cycle >= op->data_after;
        top->s_axil_bready = write && op_cycle >= op->response_after;
        top->s_axil_arvalid = read && !address_done && op_cycle >= op->address_after;
        top->s_axil_rready = read && op_cycle >= op->response_after;
        if (write) {
            top->s_axil_awaddr = op->address;
            top->s_axil_wdata = op->value;
            top->s_axil_wstrb = op->strobe;
        } else if (read) {
            top->s_axil_araddr = op->address;
        }
    }

    // True when the access is done.
    bool watch_op(Op* op, uint32_t& faults) {
        const bool write = op && op->write;
        const bool read = op && !op->write;
        if (top->s_axil_bvalid && !(write && address_done && data_done)) faults |= FAULT_UNASKED;
        if (top->s_axil_rvalid && !(read && address_done)) faults |= FAULT_UNASKED;
        if (!op) return false;
        const bool valid = write ? top->s_axil_bvalid : top->s_axil_rvalid;
        const bool ready = write ? top->s_axil_bready : top->s_axil_rready;
        if (response_held && !valid) faults |= FAULT_WITHDRAWN;
        response_held = valid && !ready;
        if (valid && ready) {
            if (write ? top->s_axil_bresp : top->s_axil_rresp) faults |= FAULT_RESPONSE;
            if (read) op->value = top->s_axil_rdata;
            address_done = data_done = response_held = false;
            op_cycle = 0;
            return true;
        }
        if (write && top->s_axil_awvalid && top->s_axil_awready) address_done = true;
        if (write && top->s_axil_wvalid && top->s_axil_wready) data_done = true;
        if (read && top->s_axil_arvalid && top->s_axil_arready) address_done = true;
        ++op_cycle;
        return false;
    }

    // True when a beat was taken.
    bool watch_output(Run& run, bool ready) {
        const bool valid = top->m_axis_tvalid;
        const auto* data = reinterpret_cast<const uint8_t*>(&top->m_axis_tdata);
        const auto* keep = reinterpret_cast<const uint8_t*>(&top->m_axis_tkeep);
        if (held && (!valid || top->m_axis_tlast != held_last || std::memcmp(data, held_data, LANES))) {
            run.faults |= FAULT_UNSTABLE;
        }
        held = valid && !ready;
        if (held) {
            std::memcpy(held_data, data, LANES);
            held_last = top->m_axis_tlast;
            ++run.out_stalls;
        }
        if (!valid || !ready) return false;
        for (uint64_t i = 0; i < LANES / 8; ++i) {
            if (keep[i] != 0xff) run.faults |= FAULT_KEEP;
        }
        unit_bytes += LANES;
        const bool ends = unit_bytes == UNIT;
        if (ends != (top->m_axis_tlast != 0)) run.faults |= FAULT_LAST;
        if (ends || top->m_axis_tlast) unit_bytes = 0;
        std::memcpy(run.output + run.made, data, LANES);
        run.made += LANES;
        return true;
    }

    void run(Run& run) {
        while (run.ran < run.cycles) {
            if ((run.until & UNTIL_OPS) && run.ops_done == run.op_count) break;
            if ((run.until & UNTIL_TAKEN) && run.input_bytes - run.taken < LANES) break;
            if ((run.until & UNTIL_OUTPUT) && run.made >= UNIT) break;
            const bool more = run.input_bytes - run.taken >= LANES;
            offering = more && (offering || bit(run.offer, run.ran));
            top->s_axis_tvalid = offering;
            if (offering) std::memcpy(&top->s_axis_tdata, run.input + run.taken, LANES);
            else if (more) ++run.idle;
            const bool ready = bit(run.accept, run.ran) && run.output_room - run.made >= LANES;
            top->m_axis_tready = ready;
            Op* op = run.ops_done < run.op_count ? run.ops + run.ops_done : nullptr;
            drive_op(op);
            settle();
            watch_output(run, ready);
            if (watch_op(op, run.faults)) ++run.ops_done;
            if (offering && top->s_axis_tready) {
                run.taken += LANES;
                offering = false;
            } else if (offering) {
                ++run.stalls;
            }
            tick();
            ++run.ran;
        }
    }
};

template <typename F>
int guarded(Core* core, F&& work) {
    try {
        work();
        return 0;
    } catch (const std::exception& error) {
        core->error = error.what();
    } catch (...) {
        core->error = "unknown exception";
    }
    return 1;
}

}  // namespace

extern "C" {

// Sizes of what both sides lay out, and the lanes: told apart before anything else is called.
uint64_t weir_layout(void) {
    return sizeof(Run) | sizeof(Op) << 16 | LANES << 32 | uint64_t(WEIR_TRACE) << 48;
}

Core* weir_create(uint64_t seed) {
    try {
        return new Core(seed);
    } catch (...) {
        return nullptr;
    }
}

void weir_destroy(Core* core) { delete core; }

const char* weir_error(const Core* core) { return core->error.c_str(); }

uint64_t weir_cycle(const Core* core) { return core->cycle; }

// What output has begun, and what input was offered, is gone.
void weir_forget(Core* core) {
    core->held = core->offering = false;
    core->unit_bytes = 0;
}

int weir_reset(Core* core, uint64_t cycles) {
    return guarded(core, [&] { core->reset(cycles); });
}

int weir_run(Core* core, Run* run) {
    return guarded(core, [&] { core->run(*run); });
}

// Starts a waveform, or with a null path ends it.
int weir_trace(Core* core, [[maybe_unused]] const char* path) {
    return guarded(core, [&] {
#if WEIR_TRACE
        if (core->trace) core->trace->close();
        core->trace.reset();
        if (path) {
            core->trace = std::make_unique<Trace>();
            core->top->trace(core->trace.get(), 99);
            core->trace->open(path);
            if (!core->trace->isOpen()) {
                core->trace.reset();
                throw std::runtime_error("cannot write the waveform");
            }
        }
#else
        throw std::runtime_error("built without waveforms");
#endif
    });
}

}  // extern "C"
