# shellcheck shell=bash disable=SC2034
# The practice cluster of `swiftbench cluster up`: nodes of one machine, without GPUs, over loopback only.

SITE_PARTITION=main
SITE_ACCOUNT=none
SITE_MAX_TIME=
SITE_GPUS_PER_NODE=0
SITE_GRES=gpu
SITE_CPUS_PER_NODE=0
SITE_MODULES=''
SITE_MPI=mpirun
SITE_MPI_ARGS=''
SITE_BINDS=''
SITE_GPU_FLAG=''
SITE_ARGS='backend.device=cpu tracking=later'
export PRTE_MCA_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
