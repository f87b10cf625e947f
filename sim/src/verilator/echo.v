// Has the ports of a core and none of its insides: puts out each beat XOR register 4, and keeps sixteen registers.
// Register 14 breaks rules: 1 withdraws what it offered, 2 puts tlast on every beat, 3 answers accesses with an error, 4 never answers.
module echo (
    input aclk, input aresetn,
    input [8*`LANES-1:0] s_axis_tdata, input s_axis_tvalid, output s_axis_tready, input [`LANES-1:0] s_axis_tkeep, input s_axis_tlast,
    output [8*`LANES-1:0] m_axis_tdata, output [`LANES-1:0] m_axis_tkeep, output m_axis_tvalid, input m_axis_tready, output m_axis_tlast,
    input [15:0] s_axil_awaddr, input [2:0] s_axil_awprot, input s_axil_awvalid, output s_axil_awready,
    input [31:0] s_axil_wdata, input [3:0] s_axil_wstrb, input s_axil_wvalid, output s_axil_wready,
    output [1:0] s_axil_bresp, output s_axil_bvalid, input s_axil_bready,
    input [15:0] s_axil_araddr, input [2:0] s_axil_arprot, input s_axil_arvalid, output s_axil_arready,
    output [31:0] s_axil_rdata, output [1:0] s_axil_rresp, output s_axil_rvalid, input s_axil_rready
);
    reg [31:0] registers [0:15];
    wire [31:0] fault = registers[14];
    reg [31:0] cycles = 0;
    reg [8*`LANES-1:0] beat;
    reg full = 0;
    reg [6:0] sent = 0;
    assign s_axis_tready = !full || m_axis_tready;
    assign m_axis_tdata = beat;
    assign m_axis_tkeep = {`LANES{1'b1}};
    assign m_axis_tvalid = full && (fault != 1 || cycles[3:0] != 0);
    assign m_axis_tlast = fault == 2 || sent + `LANES == 64;
    reg aw = 0, w = 0, b = 0, r = 0;
    reg [3:0] to;
    reg [31:0] value, read;
    assign s_axil_awready = !aw && !b;
    assign s_axil_wready = !w && !b;
    assign s_axil_bvalid = b;
    assign s_axil_bresp = fault == 3 ? 2 : 0;
    assign s_axil_arready = !r && fault != 4;
    assign s_axil_rvalid = r;
    assign s_axil_rdata = read;
    assign s_axil_rresp = 0;
    always @(posedge aclk) begin
        cycles <= cycles + 1;
        if (m_axis_tvalid && m_axis_tready) begin
            full <= 0;
            sent <= m_axis_tlast ? 0 : sent + `LANES;
        end
        if (s_axis_tvalid && s_axis_tready) begin
            full <= 1;
            beat <= s_axis_tdata ^ {`LANES/4{registers[1]}};
        end
        if (s_axil_awvalid && s_axil_awready) begin aw <= 1; to <= s_axil_awaddr[5:2]; end
        if (s_axil_wvalid && s_axil_wready) begin w <= 1; value <= s_axil_wdata; end
        if (aw && w) begin registers[to] <= value; aw <= 0; w <= 0; b <= 1; end
        if (b && s_axil_bready) b <= 0;
        if (s_axil_arvalid && s_axil_arready) begin
            r <= 1;
            read <= s_axil_araddr[5:2] == 15 ? cycles : registers[s_axil_araddr[5:2]];
        end
        if (r && s_axil_rready) r <= 0;
        if (!aresetn) begin
            registers[14] <= 0;
            full <= 0; sent <= 0; aw <= 0; w <= 0; b <= 0; r <= 0;
        end
    end
endmodule
