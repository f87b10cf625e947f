// The matcher core on an ECPIX-5: clock, reset, and a serial line through the board's USB bridge. The dividers are set by the build.
module weir_ecpix5 #(
    parameter INPUT = 1,
    parameter FEEDBACK = 1,
    parameter OUTPUT = 6
) (
    input  wire clk100,
    input  wire uart_rx,
    output wire uart_tx,
    // Low lights it: the clock is there and the core is not in reset.
    output wire led_running
);
    wire clock;
    wire locked;
    (* FREQUENCY_PIN_CLKI = "100" *)
    EHXPLLL #(
        .PLLRST_ENA("DISABLED"),
        .INTFB_WAKE("DISABLED"),
        .STDBY_ENABLE("DISABLED"),
        .DPHASE_SOURCE("DISABLED"),
        .OUTDIVIDER_MUXA("DIVA"),
        .OUTDIVIDER_MUXB("DIVB"),
        .OUTDIVIDER_MUXC("DIVC"),
        .OUTDIVIDER_MUXD("DIVD"),
        .CLKI_DIV(INPUT),
        .CLKFB_DIV(FEEDBACK),
        .CLKOP_ENABLE("ENABLED"),
        .CLKOP_DIV(OUTPUT),
        .CLKOP_CPHASE(OUTPUT - 1),
        .CLKOP_FPHASE(0),
        .FEEDBK_PATH("CLKOP")
    ) pll (
        .RST(1'b0),
        .STDBY(1'b0),
        .CLKI(clk100),
        .CLKOP(clock),
        .CLKFB(clock),
        .CLKINTFB(),
        .PHASESEL0(1'b0),
        .PHASESEL1(1'b0),
        .PHASEDIR(1'b0),
        .PHASESTEP(1'b0),
        .PHASELOADREG(1'b0),
        .PLLWAKESYNC(1'b0),
        .ENCLKOP(1'b0),
        .LOCK(locked)
    );

    // Reset until 128 cycles after the PLL has locked, and again when it loses the lock.
    reg [1:0] lock = 2'b00;
    reg [7:0] since = 8'd0;
    reg clear = 1'b1;
    reg resetn = 1'b0;
    wire core_reset;
    always @(posedge clock) begin
        lock <= {lock[0], locked};
        if (!lock[1]) since <= 8'd0;
        else if (!since[7]) since <= since + 8'd1;
        clear <= !since[7];
        resetn <= since[7] && !core_reset;
    end
    assign led_running = !resetn;

    wire [63:0] beat, word;
    wire beat_valid, beat_ready, word_valid, word_ready;
    wire [15:0] address;
    wire [31:0] wdata, rdata;
    wire awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;

    weir_bridge bridge (
        .clock(clock),
        .clear(clear),
        .rx(uart_rx),
        .tx(uart_tx),
        .reset(core_reset),
        .beat_data(beat),
        .beat_valid(beat_valid),
        .beat_ready(beat_ready),
        .word_data(word),
        .word_valid(word_valid),
        .word_ready(word_ready),
        .address(address),
        .awvalid(awvalid),
        .awready(awready),
        .wdata(wdata),
        .wvalid(wvalid),
        .wready(wready),
        .bvalid(bvalid),
        .bready(bready),
        .arvalid(arvalid),
        .arready(arready),
        .rdata(rdata),
        .rvalid(rvalid),
        .rready(rready)
    );

    weir_core core (
        .aclk(clock),
        .aresetn(resetn),
        .s_axis_tdata(beat),
        .s_axis_tkeep(8'hff),
        .s_axis_tvalid(beat_valid),
        .s_axis_tready(beat_ready),
        .s_axis_tlast(1'b0),
        .m_axis_tdata(word),
        .m_axis_tkeep(),
        .m_axis_tvalid(word_valid),
        .m_axis_tready(word_ready),
        .m_axis_tlast(),
        .s_axil_awaddr(address),
        .s_axil_awprot(3'b000),
        .s_axil_awvalid(awvalid),
        .s_axil_awready(awready),
        .s_axil_wdata(wdata),
        .s_axil_wstrb(4'hf),
        .s_axil_wvalid(wvalid),
        .s_axil_wready(wready),
        .s_axil_bresp(),
        .s_axil_bvalid(bvalid),
        .s_axil_bready(bready),
        .s_axil_araddr(address),
        .s_axil_arprot(3'b000),
        .s_axil_arvalid(arvalid),
        .s_axil_arready(arready),
        .s_axil_rdata(rdata),
        .s_axil_rresp(),
        .s_axil_rvalid(rvalid),
        .s_axil_rready(rready)
    );
endmodule
