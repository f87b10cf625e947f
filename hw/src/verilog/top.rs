//! The module that boards and simulators instantiate: ANSI ports with the names that AXI tools expect.

use weir_tables::Geometry;

/// The module's name.
pub const TOP: &str = "weir_core";
/// The generated core within it.
pub(super) const INNER: &str = "weir_core_inner";

/// `weir_core`: AXI4-Stream in and out and AXI4-Lite around the generated core.
pub(super) fn top(geometry: &Geometry) -> String {
    let bits = 8 * geometry.lanes;
    let (high, keep) = (bits - 1, geometry.lanes - 1);
    format!(
        "\
// Weir's matcher core, {bits} bits a beat: records in, report units out, registers beside them.
// One clock. Reset is synchronous and active low; it must last 2 cycles, and the core takes no beat for the 64 after it.
module {TOP} (
    input  wire aclk,
    input  wire aresetn,

    // Records. tkeep and tlast are not looked at: records frame themselves, in whole beats.
    input  wire [{high}:0] s_axis_tdata,
    input  wire [{keep}:0] s_axis_tkeep,
    input  wire s_axis_tvalid,
    output wire s_axis_tready,
    input  wire s_axis_tlast,

    // Report units of 64 bytes; tlast ends a unit.
    output wire [{high}:0] m_axis_tdata,
    output wire [{keep}:0] m_axis_tkeep,
    output wire m_axis_tvalid,
    input  wire m_axis_tready,
    output wire m_axis_tlast,

    // Registers, 32 bits; awprot, arprot and wstrb are not looked at.
    input  wire [15:0] s_axil_awaddr,
    input  wire [2:0] s_axil_awprot,
    input  wire s_axil_awvalid,
    output wire s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0] s_axil_wstrb,
    input  wire s_axil_wvalid,
    output wire s_axil_wready,
    output wire [1:0] s_axil_bresp,
    output wire s_axil_bvalid,
    input  wire s_axil_bready,
    input  wire [15:0] s_axil_araddr,
    input  wire [2:0] s_axil_arprot,
    input  wire s_axil_arvalid,
    output wire s_axil_arready,
    output wire [31:0] s_axil_rdata,
    output wire [1:0] s_axil_rresp,
    output wire s_axil_rvalid,
    input  wire s_axil_rready
);
    assign m_axis_tkeep = {{{lanes}{{1'b1}}}};
    assign s_axil_bresp = 2'b00;
    assign s_axil_rresp = 2'b00;

    {INNER} inner (
        .clock(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata),
        .s_axis_tvalid(s_axis_tvalid),
        .s_axis_tready(s_axis_tready),
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid),
        .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast),
        .s_axil_awaddr(s_axil_awaddr),
        .s_axil_awvalid(s_axil_awvalid),
        .s_axil_awready(s_axil_awready),
        .s_axil_wdata(s_axil_wdata),
        .s_axil_wvalid(s_axil_wvalid),
        .s_axil_wready(s_axil_wready),
        .s_axil_bvalid(s_axil_bvalid),
        .s_axil_bready(s_axil_bready),
        .s_axil_araddr(s_axil_araddr),
        .s_axil_arvalid(s_axil_arvalid),
        .s_axil_arready(s_axil_arready),
        .s_axil_rdata(s_axil_rdata),
        .s_axil_rvalid(s_axil_rvalid),
        .s_axil_rready(s_axil_rready)
    );
endmodule

",
        lanes = geometry.lanes,
    )
}
