//! Device nodes of the Xilinx XDMA driver.
