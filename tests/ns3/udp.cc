// UDP at a constant rate from one node across a router to another, over point-to-point links: what `xtask bench ns3` has virtual time compared with.
//
// g++ -O2 -DNDEBUG udp.cc -lns3-applications -lns3-point-to-point -lns3-internet -lns3-network -lns3-core
// ./a.out DATAGRAMS OCTETS PER_SECOND: prints the frames received over links, and the seconds of the machine that the simulation took.

#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"

#include <chrono>
#include <cstdlib>
#include <iostream>

using namespace ns3;

int main(int argc, char** argv)
{
    if (argc != 4) {
        std::cerr << "usage: " << argv[0] << " DATAGRAMS OCTETS PER_SECOND\n";
        return 2;
    }
    const uint32_t datagrams = std::atoi(argv[1]);
    const uint32_t octets = std::atoi(argv[2]);
    const double perSecond = std::atof(argv[3]);

    NodeContainer nodes;
    nodes.Create(3);
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("10Gbps"));
    link.SetChannelAttribute("Delay", StringValue("1us"));
    NetDeviceContainer left = link.Install(nodes.Get(0), nodes.Get(1));
    NetDeviceContainer right = link.Install(nodes.Get(1), nodes.Get(2));

    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.Install(nodes);
    Ipv4AddressHelper addresses;
    addresses.SetBase("10.0.1.0", "255.255.255.0");
    addresses.Assign(left);
    addresses.SetBase("10.0.2.0", "255.255.255.0");
    Ipv4InterfaceContainer ends = addresses.Assign(right);
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();

    UdpServerHelper server(9);
    ApplicationContainer sink = server.Install(nodes.Get(2));
    UdpClientHelper client(ends.GetAddress(1), 9);
    client.SetAttribute("MaxPackets", UintegerValue(datagrams));
    client.SetAttribute("PacketSize", UintegerValue(octets));
    client.SetAttribute("Interval", TimeValue(Seconds(1.0 / perSecond)));
    ApplicationContainer source = client.Install(nodes.Get(0));
    sink.Start(Seconds(0));
    source.Start(Seconds(0));
    Simulator::Stop(Seconds(datagrams / perSecond + 1));

    const auto begin = std::chrono::steady_clock::now();
    Simulator::Run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    // Each datagram crosses two links.
    const uint64_t frames = 2 * sink.Get(0)->GetObject<UdpServer>()->GetReceived();
    Simulator::Destroy();
    std::cout << frames << " " << took.count() << std::endl;
    return 0;
}
